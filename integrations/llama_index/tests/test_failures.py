from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import FunctionTool

from adaptive_middleware import Middleware, Rule, best_of_n, fixed, pass_through
from adaptive_middleware.errors import DeadlineExceeded
from adaptive_middleware.types import Path, Request, StepScores
from llama_index_adaptive import AdaptiveLLM

HELLO = [ChatMessage("hello")]


class Down(Exception):
    """The provider's own error."""


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Broken:
    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        message = "no such device"
        raise OSError(message)


async def test_the_models_error_reaches_the_caller_unchanged(wrap: Any, script: Any, texts: Any) -> None:
    down = Down("503")
    llm, text = wrap(script([down]).model()), wrap(texts([down]))
    blocking: list[Callable[[], object]] = [
        lambda: llm.chat(HELLO),
        lambda: list(llm.stream_chat(HELLO)),
        lambda: text.complete("hi"),
        lambda: list(text.stream_complete("hi")),
    ]
    for call in blocking:
        with pytest.raises(Down) as caught:
            call()
        assert caught.value is down
    for awaited in (llm.achat(HELLO), llm.astream_chat(HELLO), text.acomplete("hi")):
        with pytest.raises(Down) as caught:
            await awaited
        assert caught.value is down
    with pytest.raises(Down):
        llm.chat_with_tools([FunctionTool.from_defaults(add)], "1 + 2?")


async def test_one_failed_sample_is_reported_and_the_others_are_used(
    best_of: Callable[[int], Middleware], script: Any
) -> None:
    answers = ["bad", Down("503"), "good"]
    llm = AdaptiveLLM(llm=script(answers * 2).provider(), middleware=best_of(3), max_concurrency=1)
    for chosen in (llm.chat(HELLO), await llm.achat(HELLO)):
        report = chosen.additional_kwargs["adaptive"]
        assert chosen.message.content == "good"
        assert report["degraded"] == ["sample failed: Down: 503"]
        assert (report["samples"], len(report["candidates"])) == (3, 2)
        assert report["usage"]["requests"] == 3


async def test_the_report_counts_the_usage_of_all_samples(
    best_of: Callable[[int], Middleware], script: Any
) -> None:
    llm = AdaptiveLLM(llm=script(["good"]).provider(), middleware=best_of(3))
    for chosen in (llm.chat(HELLO), await llm.achat(HELLO)):
        usage = chosen.additional_kwargs["adaptive"]["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"], usage["requests"]) == (24, 9, 3)
        assert chosen.raw is not None
        assert chosen.raw["usage"] == {"prompt_tokens": 8, "completion_tokens": 3}


async def test_a_scorer_that_raises_leaves_a_vote_and_says_so(script: Any) -> None:
    middleware = Middleware(best_of_n(fixed(3)), scorer=Broken())
    llm = AdaptiveLLM(llm=script(["5", "4", "4"] * 2).model(), middleware=middleware, max_concurrency=1)
    for chosen in (llm.chat(HELLO), await llm.achat(HELLO)):
        assert chosen.message.content == "4"
        assert chosen.additional_kwargs["adaptive"]["degraded"] == [
            "scores rejected: OSError: no such device"
        ]


async def test_an_empty_answer_is_reported(best_of: Callable[[int], Middleware], script: Any) -> None:
    llm = AdaptiveLLM(llm=script([""]).model(), middleware=best_of(2))
    for chosen in (llm.chat(HELLO), await llm.achat(HELLO)):
        assert chosen.message.content == ""
        assert chosen.additional_kwargs["adaptive"]["degraded"] == ["empty answer"]


class Slow(MockFunctionCallingLLM):
    """Answers its first call; every further one hangs until it is cancelled or released."""

    quick: int = 1

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        if self.is_quick():
            return ChatResponse(message=ChatMessage("quick", role="assistant"))
        RELEASE.wait(20)
        return ChatResponse(message=ChatMessage("late", role="assistant"))

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        if self.is_quick():
            return ChatResponse(message=ChatMessage("quick", role="assistant"))
        try:
            await asyncio.sleep(60)
        finally:
            self.tool_calls.clear()
            ENDED.append("ended")
        raise AssertionError

    def is_quick(self) -> bool:
        with LOCK:
            self.quick -= 1
            return self.quick >= 0


RELEASE, LOCK = threading.Event(), threading.Lock()
ENDED: list[str] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    ENDED.clear()
    RELEASE.clear()


def within(seconds: float, n: int = 3) -> Middleware:
    return Middleware(rules=[Rule("quick", best_of_n(fixed(n), max_samples=n, score=False), seconds=seconds)])


async def test_at_the_deadline_the_finished_samples_are_used() -> None:
    chosen = await AdaptiveLLM(llm=Slow(), middleware=within(0.6)).achat(HELLO)
    assert chosen.message.content == "quick"
    assert ENDED == ["ended"] * 2
    late = "sample failed: DeadlineExceeded: the sample had not finished at the call's deadline"
    assert chosen.additional_kwargs["adaptive"]["degraded"] == [late]


def test_at_the_deadline_a_blocking_call_returns_without_its_slow_threads() -> None:
    try:
        chosen = AdaptiveLLM(llm=Slow(), middleware=within(0.6)).chat(HELLO)
    finally:
        RELEASE.set()
    assert chosen.message.content == "quick"
    assert "DeadlineExceeded" in chosen.additional_kwargs["adaptive"]["degraded"][0]


async def test_nothing_at_the_deadline_is_a_typed_error() -> None:
    with pytest.raises(DeadlineExceeded):
        await AdaptiveLLM(llm=Slow(quick=0), middleware=within(0.3)).achat(HELLO)
    plain = Middleware(rules=[Rule("quick", pass_through, seconds=0.3)])
    with pytest.raises(DeadlineExceeded):
        await AdaptiveLLM(llm=Slow(quick=0), middleware=plain).achat(HELLO)
    assert ENDED == ["ended"] * 4


async def test_cancelling_a_call_ends_all_of_its_model_calls() -> None:
    model = Slow(quick=0)
    llm = AdaptiveLLM(llm=model, middleware=Middleware(best_of_n(fixed(4), max_samples=4, score=False)))
    call = asyncio.create_task(llm.achat(HELLO))
    for _ in range(20):
        await asyncio.sleep(0)
    assert model.quick == -4
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ENDED == ["ended"] * 4


async def test_no_more_calls_are_under_way_than_allowed(best_of: Callable[[int], Middleware]) -> None:
    running: list[int] = []
    peak: list[int] = []

    class Watched(MockFunctionCallingLLM):
        async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
            running.append(1)
            peak.append(len(running))
            await asyncio.sleep(0)
            running.pop()
            return ChatResponse(message=ChatMessage("good", role="assistant"))

    await AdaptiveLLM(llm=Watched(), middleware=best_of(5), max_concurrency=2).achat(HELLO)
    assert (max(peak), len(peak)) == (2, 5)
