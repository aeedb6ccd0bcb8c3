"""A stream that its reader leaves, and a call that fails: observers are told once, with what it had cost."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, closing
from typing import Any, cast

import pytest
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware, Rule, best_of_n, fixed
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.types import Outcome, Request, Unanswered
from langchain_adaptive import AdaptiveChatModel

Chat = Callable[..., ChatOpenAI]


class Told:
    def __init__(self) -> None:
        self.calls: list[Unanswered] = []
        self.answered = 0

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        self.answered += 1

    def unanswered(self, request: Request, call: Unanswered, seconds: float) -> None:
        self.calls.append(call)


async def test_a_stream_that_its_reader_leaves_is_told_once(server: Server, chat: Chat) -> None:
    told = Told()
    rule = Rule("shown", best_of_n(fixed(3)), shadow=True)
    model = AdaptiveChatModel(inner=chat(), middleware=Middleware(rules=[rule], observers=[told]))
    with closing(cast("Any", model.stream("Hi"))) as pieces:
        next(pieces)
    async with aclosing(cast("Any", model.astream("Hi"))) as watched:
        await anext(watched)
    for _ in range(500):  # an event loop ends what nobody reads on by itself, a little later
        if len(told.calls) == 2:
            break
        await asyncio.sleep(0.01)
    assert [(call.why, call.rule, call.begun) for call in told.calls] == [("cancelled", "shown", 1)] * 2
    assert all(call.usage.completion_tokens > 0 for call in told.calls)
    assert told.answered == 0


def test_a_provider_that_refuses_is_told_with_the_class_of_its_error(chat: Chat) -> None:
    told = Told()
    middleware = Middleware(best_of_n(fixed(2), score=False), observers=[told])
    model = AdaptiveChatModel(inner=chat("fail"), middleware=middleware)
    with pytest.raises(Exception, match="500") as caught:
        model.invoke("Hi")
    (call,) = told.calls
    assert call.why == f"failed: {type(caught.value).__name__}"
    assert (call.begun, call.usage.requests) == (2, 2)
