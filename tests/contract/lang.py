"""LangChain's chat model, and its agent, as clients of the contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware
from adaptive_middleware.testing.contract import Answer, Json
from adaptive_middleware.types import ToolCall
from langchain_adaptive import AdaptiveChatModel, AdaptiveComputeMiddleware
from tests.contract.sdk import TLS, arguments


def answer_of(message: AIMessage, spent: Json | None = None) -> Answer:
    """What the caller gets of a message; in an agent, what was spent is in its state."""
    calls = tuple(ToolCall(call["name"], call["args"], call["id"]) for call in message.tool_calls)
    if spent is not None:
        counts = spent["prompt_tokens"], spent["completion_tokens"]
    else:
        assert message.usage_metadata is not None
        counts = message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]
    return Answer(str(message.text), calls, counts, message.response_metadata.get("adaptive"))


def split(body: Json) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The messages of a body, and the rest as keywords of a call."""
    rest = arguments(body)
    return rest.pop("messages"), rest


@dataclass(frozen=True)
class ModelClient:
    """Implements `Client` with a chat model."""

    model: Any

    def call(self, body: Json) -> Answer:
        messages, rest = split(body)
        return answer_of(self.model.invoke(messages, **rest))

    async def acall(self, body: Json) -> Answer:
        messages, rest = split(body)
        return answer_of(await self.model.ainvoke(messages, **rest))

    def stream(self, body: Json) -> Iterator[str]:
        messages, rest = split(body)
        return (str(chunk.text) for chunk in self.model.stream(messages, **rest) if chunk.text)

    async def astream(self, body: Json) -> AsyncIterator[str]:
        messages, rest = split(body)
        async for chunk in self.model.astream(messages, **rest):
            if chunk.text:
                yield str(chunk.text)


class Saying(AgentMiddleware):
    """Hands the rest of a body on to the model: tools, which nobody runs here, and parameters."""

    def wrap_model_call(self, request: ModelRequest[Any], handler: Any) -> Any:
        return handler(self._said(request))

    async def awrap_model_call(self, request: ModelRequest[Any], handler: Any) -> Any:
        return await handler(self._said(request))

    def _said(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        rest: dict[str, Any] = dict(request.runtime.context)
        tools = rest.pop("tools", [])
        choice = rest.pop("tool_choice", None)
        return request.override(tools=tools, tool_choice=choice, model_settings=rest)


@dataclass(frozen=True)
class AgentClient:
    """Implements `Client` with one turn of an agent."""

    agent: Any

    def call(self, body: Json) -> Answer:
        messages, rest = split(body)
        return self._answer(self.agent.invoke({"messages": messages}, context=rest))

    async def acall(self, body: Json) -> Answer:
        messages, rest = split(body)
        return self._answer(await self.agent.ainvoke({"messages": messages}, context=rest))

    def stream(self, body: Json) -> Iterator[str]:
        messages, rest = split(body)
        seen = self.agent.stream({"messages": messages}, context=rest, stream_mode="messages")
        return (str(one.text) for one, _ in seen if isinstance(one, AIMessage) and one.text)

    async def astream(self, body: Json) -> AsyncIterator[str]:
        messages, rest = split(body)
        seen = self.agent.astream({"messages": messages}, context=rest, stream_mode="messages")
        async for one, _ in seen:
            if isinstance(one, AIMessage) and one.text:
                yield str(one.text)

    def _answer(self, state: dict[str, Any]) -> Answer:
        return answer_of(state["messages"][-1], state.get("adaptive_spend"))


@contextmanager
def chat(url: str) -> Iterator[ChatOpenAI]:
    """The provider's chat model, with HTTP clients of its own."""
    awaited = httpx2.AsyncClient(verify=TLS, limits=httpx2.Limits(max_keepalive_connections=0), timeout=60)
    with httpx2.Client(verify=TLS) as http:
        yield ChatOpenAI(
            base_url=url,
            api_key="k",
            model="fake",
            stream_usage=True,
            max_retries=0,
            http_client=http,
            http_async_client=awaited,
        )
    asyncio.run(awaited.aclose())


@contextmanager
def chat_model(url: str, config: Json | None) -> Iterator[ModelClient]:
    """`AdaptiveChatModel` around the provider's."""
    with chat(url) as inner:
        if config is None:
            yield ModelClient(inner)
        else:
            yield ModelClient(AdaptiveChatModel(inner=inner, middleware=Middleware.from_config(config)))


@contextmanager
def agent(url: str, config: Json | None) -> Iterator[AgentClient]:
    """`AdaptiveComputeMiddleware` in an agent."""
    ours = [] if config is None else [AdaptiveComputeMiddleware.from_config(config)]
    with chat(url) as inner:
        yield AgentClient(create_agent(inner, [], middleware=[Saying(), *ours], context_schema=dict))
