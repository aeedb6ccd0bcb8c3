"""LlamaIndex's models as clients of the contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms.function_calling import FunctionCallingLLM

from adaptive_middleware import Middleware
from adaptive_middleware.testing.contract import Answer, Json
from adaptive_middleware.types import ToolCall
from llama_index_adaptive import AdaptiveLLM
from tests.contract.sdk import arguments as body_of
from tests.contract.wire import WireLLM, read


def arguments(body: Json) -> tuple[list[ChatMessage], dict[str, Any]]:
    """A body as `chat` takes it: LlamaIndex's own callers give the tools first."""
    messages = [read(dict(message)) for message in body["messages"]]
    tools = {"tools": body["tools"]} if "tools" in body else {}
    rest = {name: value for name, value in body_of(body).items() if name != "messages"}
    return messages, {**tools, **rest}


@dataclass(frozen=True)
class LlamaClient:
    """Implements `Client` with `chat`, `achat` and `stream_chat`."""

    llm: FunctionCallingLLM

    def call(self, body: Json) -> Answer:
        messages, rest = arguments(body)
        return self._answer(self.llm.chat(messages, **rest))

    async def acall(self, body: Json) -> Answer:
        messages, rest = arguments(body)
        return self._answer(await self.llm.achat(messages, **rest))

    def stream(self, body: Json) -> Iterator[str]:
        messages, rest = arguments(body)
        return (response.delta for response in self.llm.stream_chat(messages, **rest) if response.delta)

    async def astream(self, body: Json) -> AsyncIterator[str]:
        messages, rest = arguments(body)
        async for response in await self.llm.astream_chat(messages, **rest):
            if response.delta:
                yield response.delta

    def _answer(self, response: ChatResponse) -> Answer:
        selections = self.llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
        calls = tuple(ToolCall(one.tool_name, one.tool_kwargs, one.tool_id) for one in selections)
        report = response.additional_kwargs.get("adaptive")
        usage = usage_of(response) if report is None else report["usage"]
        counts = usage["prompt_tokens"], usage["completion_tokens"]
        return Answer(response.message.content or "", calls, counts, report)


def usage_of(response: ChatResponse) -> Any:
    """The provider's counts, in its JSON or in the SDK's object."""
    raw: Any = response.raw
    return (raw if isinstance(raw, dict) else raw.model_dump())["usage"]


@contextmanager
def adaptive_llm(url: str, config: Json | None) -> Iterator[LlamaClient]:
    """`AdaptiveLLM` around a model that speaks HTTP."""
    inner = WireLLM(url=url)
    wrapped = inner if config is None else AdaptiveLLM(llm=inner, middleware=Middleware.from_config(config))
    yield LlamaClient(wrapped)
    inner.close()
    asyncio.run(inner.aclose())
