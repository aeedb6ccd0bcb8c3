"""A policy in shadow: the bare model's own message, and its stream while it is written."""

from collections.abc import Callable

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware, Rule, best_of_n, fixed
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.types import Outcome, Request
from langchain_adaptive import AdaptiveChatModel

Chat = Callable[..., ChatOpenAI]


class Told:
    def __init__(self) -> None:
        self.shadows: list[int | None] = []

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        self.shadows.append(outcome.shadow)


def in_shadow(told: Told) -> Middleware:
    rule = Rule("code", best_of_n(fixed(3)), seconds=0.001, shadow=True)
    return Middleware(rules=[rule], scorer=TableScorer(0.5), observers=[told])


def same(one: AIMessage, other: AIMessage) -> bool:
    return one.model_copy(update={"id": None}) == other.model_copy(update={"id": None})


async def test_a_call_in_shadow_returns_what_the_bare_model_returns(server: Server, chat: Chat) -> None:
    told = Told()
    model = AdaptiveChatModel(inner=chat(), middleware=in_shadow(told))
    bare = chat().invoke("Hi")
    asked = list(server.calls)
    server.reset()  # it counts its answers
    assert same(model.invoke("Hi"), bare)
    assert server.calls == asked
    server.reset()
    assert same(await model.ainvoke("Hi"), bare)
    assert server.calls == asked
    waited(model.middleware)
    assert told.shadows == [3, 3]


@pytest.mark.parametrize("stream_usage", [True, False])
async def test_a_stream_in_shadow_is_live_and_says_what_the_bare_one_says(
    server: Server, chat: Chat, stream_usage: bool
) -> None:
    told = Told()
    model = AdaptiveChatModel(inner=chat(), middleware=in_shadow(told))
    bare = list(chat().stream("Hi", stream_usage=stream_usage))
    seen = list(model.stream("Hi", stream_usage=stream_usage))
    aseen = [chunk async for chunk in model.astream("Hi", stream_usage=stream_usage)]
    whole = [added(chunks) for chunks in (bare, seen, aseen)]
    assert whole[0].content == whole[1].content == whole[2].content
    assert whole[0].usage_metadata == whole[1].usage_metadata == whole[2].usage_metadata
    assert "adaptive" not in whole[1].response_metadata
    assert len(seen) > 1
    assert [body["stream"] for body in server.calls] == [True] * 3
    waited(model.middleware)
    assert told.shadows == [3, 3]


def added(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    first, *others = chunks
    return first + others if others else first


def waited(middleware: Middleware) -> None:
    assert middleware._now.shadowing is not None
    middleware._now.shadowing.wait()
