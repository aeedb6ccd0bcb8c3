"""The real provider classes of the OpenAI world that is installed, each wrapped, each behind the same four questions."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel

from adaptive_middleware import Middleware
from adaptive_middleware.transport import httpx as over_httpx
from adaptive_middleware.transport import httpx2 as over_httpx2
from tests.clients.site import ADD, QUESTION, add

OF_SDK: Any = over_httpx2 if issubclass(openai.DefaultHttpxClient, httpx2.Client) else over_httpx
"""The transports of the HTTP library that the SDK speaks."""
KEYS: dict[str, Any] = {"api_key": "none", "max_retries": 0}
USER: list[Any] = [{"role": "user", "content": QUESTION}]


class Numbers(BaseModel):
    """Two numbers."""

    a: int
    b: int


@dataclass(frozen=True, slots=True)
class Told:
    """What came back, in the pieces in which it came, and the tokens that were charged for it."""

    pieces: list[str]
    tokens: int

    @property
    def text(self) -> str:
        return "".join(self.pieces)


async def result(method: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """What a method returns, awaited where it must be, in a thread of its own where it would block."""
    found = await asyncio.to_thread(method, *given, **named)
    return await found if inspect.isawaitable(found) else found


async def items(stream: Any) -> list[Any]:
    """All that a stream gives."""
    if isinstance(stream, AsyncIterable):
        return [item async for item in stream]
    return await asyncio.to_thread(list, stream)


class Http:
    """The SDK's own HTTP clients, over `AdaptiveTransport` where there is a middleware."""

    def __init__(self, middleware: Middleware | None) -> None:
        plain = None if middleware is None else OF_SDK.AdaptiveTransport(middleware)
        live = None if middleware is None else OF_SDK.AsyncAdaptiveTransport(middleware)
        self.plain = openai.DefaultHttpxClient(transport=plain)
        self.live = openai.DefaultAsyncHttpxClient(transport=live)

    async def close(self) -> None:
        self.plain.close()
        await self.live.aclose()


class Sdk:
    """The SDK's own client over `AdaptiveTransport`; bare without a middleware."""

    def __init__(self, url: str, model: str, middleware: Middleware | None, asynchronous: bool) -> None:
        client: Any = openai.AsyncOpenAI if asynchronous else openai.OpenAI
        self._http = Http(middleware)
        http: Any = self._http.live if asynchronous else self._http.plain
        self._client: Any = client(base_url=url, http_client=http, **KEYS)
        self._model = model

    async def _create(self, messages: Sequence[Any], **fields: Any) -> Any:
        create = self._client.chat.completions.create
        return await result(create, model=self._model, messages=messages, **fields)

    async def ask(self) -> Told:
        reply = await self._create(USER)
        return Told([reply.choices[0].message.content], reply.usage.total_tokens)

    async def stream(self) -> Told:
        chunks = await items(await self._create(USER, stream=True, stream_options={"include_usage": True}))
        pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
        return Told([piece for piece in pieces if piece], chunks[-1].usage.total_tokens)

    async def loop(self) -> str:
        first = (await self._create(USER, tools=[ADD])).choices[0].message
        (call,) = first.tool_calls
        value = add(**json.loads(call.function.arguments))
        told = {"role": "tool", "tool_call_id": call.id, "content": str(value)}
        return str((await self._create([*USER, first, told], tools=[ADD])).choices[0].message.content)

    async def fill(self) -> Any:
        parse = self._client.chat.completions.parse
        reply = await result(parse, model=self._model, messages=USER, response_format=Numbers)
        return reply.choices[0].message.parsed

    async def close(self) -> None:
        await self._http.close()


class LangChain:
    """`AdaptiveChatModel` over `ChatOpenAI`, or that over the transport (`below`); bare without a middleware."""

    def __init__(
        self,
        url: str,
        model: str,
        middleware: Middleware | None,
        asynchronous: bool,
        *,
        below: bool = False,
    ) -> None:
        library = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
        adapter = pytest.importorskip("langchain_adaptive", reason="langchain-core is not installed")
        self._http = Http(middleware if below else None)
        place = {"base_url": url, "http_client": self._http.plain, "http_async_client": self._http.live}
        inner = library.ChatOpenAI(model=model, stream_usage=True, **place, **KEYS)
        self._model: Any = inner
        if middleware is not None and not below:
            self._model = adapter.AdaptiveChatModel(inner=inner, middleware=middleware)
        self._prefix = "a" if asynchronous else ""

    async def _invoke(self, model: Any, turns: Any) -> Any:
        return await result(getattr(model, f"{self._prefix}invoke"), turns)

    async def ask(self) -> Told:
        reply = await self._invoke(self._model, QUESTION)
        return Told([reply.text], reply.usage_metadata["total_tokens"])

    async def stream(self) -> Told:
        chunks = await items(await result(getattr(self._model, f"{self._prefix}stream"), QUESTION))
        tokens = sum(chunk.usage_metadata["total_tokens"] for chunk in chunks if chunk.usage_metadata)
        return Told([chunk.text for chunk in chunks if chunk.text], tokens)

    async def loop(self) -> str:
        able = self._model.bind_tools([add])
        first = await self._invoke(able, QUESTION)
        (call,) = first.tool_calls
        told = {"role": "tool", "tool_call_id": call["id"], "content": str(add(**call["args"]))}
        return str((await self._invoke(able, [*USER, first, told])).text)

    async def fill(self) -> Any:
        return await self._invoke(self._model.with_structured_output(Numbers), QUESTION)

    async def close(self) -> None:
        await self._http.close()


class LlamaIndex:
    """`AdaptiveLLM` over `llama_index.llms.openai.OpenAI`, or that over the transport (`below`); bare without a middleware."""

    def __init__(
        self,
        url: str,
        model: str,
        middleware: Middleware | None,
        asynchronous: bool,
        *,
        below: bool = False,
    ) -> None:
        library = pytest.importorskip(
            "llama_index.llms.openai", reason="llama-index-llms-openai is not installed: it needs openai 2"
        )
        adapter = pytest.importorskip("llama_index_adaptive")
        self._http = Http(middleware if below else None)
        place = {"api_base": url, "http_client": self._http.plain, "async_http_client": self._http.live}
        counted = {"stream_options": {"include_usage": True}}
        inner = library.OpenAI(additional_kwargs=counted, model=f"ft:gpt-4o-mini:{model}", **place, **KEYS)
        self._model: Any = inner
        if middleware is not None and not below:
            self._model = adapter.AdaptiveLLM(llm=inner, middleware=middleware)
        self._prefix = "a" if asynchronous else ""

    async def _do(self, name: str, *given: Any, **named: Any) -> Any:
        return await result(getattr(self._model, self._prefix + name), *given, **named)

    async def ask(self) -> Told:
        reply = await self._do("complete", QUESTION)
        return Told([reply.text], _charged(reply))

    async def stream(self) -> Told:
        found = await items(await self._do("stream_complete", QUESTION))
        return Told([piece.delta for piece in found if piece.delta], _charged(found[-1]))

    async def loop(self) -> str:
        from llama_index.core.llms import ChatMessage  # noqa: PLC0415 - as what it needs
        from llama_index.core.tools import FunctionTool  # noqa: PLC0415

        tools, question = [FunctionTool.from_defaults(add)], ChatMessage(QUESTION)
        first = await self._do("chat_with_tools", tools, chat_history=[question])
        (call,) = self._model.get_tool_calls_from_response(first)
        value, told = add(**call.tool_kwargs), {"tool_call_id": call.tool_id}
        turns = [question, first.message, ChatMessage(str(value), role="tool", additional_kwargs=told)]
        return str((await self._do("chat_with_tools", tools, chat_history=turns)).message.content)

    async def fill(self) -> Any:
        from llama_index.core.prompts import PromptTemplate  # noqa: PLC0415 - as what it needs

        return await self._do("structured_predict", Numbers, PromptTemplate(QUESTION))

    async def close(self) -> None:
        await self._http.close()


def _charged(reply: Any) -> int:
    """The tokens of all samples, as the report says; of one plain call, what the model says; 0 where it says nothing."""
    told = reply.additional_kwargs
    if "adaptive" not in told:
        return int(told.get("total_tokens", 0))
    usage = told["adaptive"]["usage"]
    return int(usage["prompt_tokens"] + usage["completion_tokens"])


SUBJECTS: dict[str, Callable[[str, str, Middleware | None, bool], Any]] = {
    "sdk": Sdk,
    "langchain": LangChain,
    "langchain-below": partial(LangChain, below=True),
    "llama-index": LlamaIndex,
    "llama-index-below": partial(LlamaIndex, below=True),
}
