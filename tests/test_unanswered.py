"""Calls without an answer are told with what they had cost: they failed, were cancelled, or nobody read them on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from adaptive_middleware import Middleware, Request, Rule, best_of_n, fixed
from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.calling import Call
from adaptive_middleware.effects import Extend, Flow, Sample
from adaptive_middleware.errors import BudgetExhausted, SamplerError
from adaptive_middleware.strategies.shadow import as_it_comes
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer, answer
from adaptive_middleware.types import Outcome, Path, StepScores, Unanswered, Usage

REQUEST = Request("What is 2 + 2?")
TWO_STEPS = "2 + 2 is\n\nfour, I think"


class Told:
    """Notes what it is told of, and fails where it shall."""

    def __init__(self, *, fails: bool = False) -> None:
        self.answered, self.calls, self.seconds, self.fails = list[Outcome](), list[Unanswered](), 0.0, fails

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        self.answered.append(outcome)

    def unanswered(self, request: Request, call: Unanswered, seconds: float) -> None:
        self.calls.append(call)
        self.seconds = seconds
        if self.fails:
            message = "the sink is gone"
            raise OSError(message)


class Answered:
    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        raise AssertionError


class HangsAt:
    """Answers at once until its draw `at`, which never comes back."""

    def __init__(self, at: int) -> None:
        self.at, self.draws, self.hanging = at, 0, asyncio.Event()

    async def asample(self, request: Request, n: int) -> Sequence[Path]:
        self.draws += 1
        if self.draws == self.at:
            self.hanging.set()
            await asyncio.sleep(60)
        return [answer("4", tokens=3)] * n


class Costly:
    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        return [StepScores((0.5,), tokens=7)] * len(paths)


def twice(request: Request) -> Flow[Outcome]:
    yield from Sample(request, 1)
    paths = yield from Sample(request, 2)
    return Outcome(paths[0])


async def test_a_call_that_raises_is_told_with_its_code_and_stays_the_callers_error() -> None:
    told = Told()
    made = Middleware(rules=[Rule("code", best_of_n(fixed(2)))], observers=[told, Answered()])
    for error in (SamplerError("the endpoint is gone"), ConnectionError("reset")):
        with pytest.raises(type(error)):
            made.run(REQUEST, ScriptedSampler([error]))
        with pytest.raises(type(error)):
            await made.arun(REQUEST, ScriptedSampler([error]))
    assert [call.why for call in told.calls] == [*["failed: AMW-E300"] * 2, *["failed: ConnectionError"] * 2]
    first = told.calls[0]
    assert (first.error, first.message, first.rule) == ("SamplerError", "the endpoint is gone", "code")
    assert (first.usage, first.begun, first.drawn) == (Usage(requests=2, estimated=True), 2, ())
    assert len({call.id for call in told.calls}) == 4
    assert told.seconds > 0
    assert told.answered == []


async def test_a_cancelled_call_keeps_what_it_had_used_and_counts_what_was_under_way() -> None:
    told, sampler = Told(), HangsAt(2)
    made = Middleware(twice, observers=[told])
    task = asyncio.create_task(made.arun(REQUEST, sampler))
    await asyncio.wait_for(sampler.hanging.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (call,) = told.calls
    assert (call.why, call.error, call.begun) == ("cancelled", "CancelledError", 3)
    prompts = 2 * (len("What is 2 + 2?") // 4)
    assert call.usage == Usage(prompts, completion_tokens=3, requests=3, estimated=True)
    assert [path.text for path in call.drawn] == ["4"]


async def test_scoring_that_was_paid_for_is_kept() -> None:
    told, sampler = Told(), HangsAt(1)
    made = Middleware(best_of_n(fixed(2)), scorer=Costly(), observers=[told])
    task = asyncio.create_task(made.arun(REQUEST, sampler))
    await asyncio.wait_for(sampler.hanging.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (told.calls[0].usage.prm_tokens, told.calls[0].usage.requests) == (7, 2)


def test_a_stream_that_nobody_reads_on_is_told_with_what_was_read_of_it() -> None:
    told = Told()
    made = Middleware(as_it_comes, observers=[told])
    streaming = made.stream(REQUEST, ScriptedSampler(["4"]), streamer=ScriptedStreamer([TWO_STEPS]))
    seen = next(streaming)
    assert isinstance(seen, Path)
    streaming.close()  # type: ignore[attr-defined]
    (call,) = told.calls
    assert (call.why, call.error, call.begun) == ("cancelled", "GeneratorExit", 1)
    assert [path.text for path in call.drawn] == [seen.text]
    assert call.usage.completion_tokens > 0


async def test_an_asynchronous_stream_that_nobody_reads_on_is_told_alike() -> None:
    told = Told()
    made = Middleware(as_it_comes, observers=[told])
    streaming = made.astream(REQUEST, ScriptedSampler(["4"]), streamer=ScriptedStreamer([TWO_STEPS]))
    await anext(streaming)
    await streaming.aclose()
    assert [call.why for call in told.calls] == ["cancelled"]
    assert told.calls[0].usage.completion_tokens > 0


async def test_a_stream_left_after_its_outcome_was_answered() -> None:
    told = Told()
    made = Middleware(as_it_comes, observers=[told])
    streaming = made.stream(REQUEST, ScriptedSampler(["4"]), streamer=ScriptedStreamer(["4"]))
    while not isinstance(next(streaming), Outcome):
        pass
    streaming.close()  # type: ignore[attr-defined]
    watched = made.astream(REQUEST, ScriptedSampler(["4"]), streamer=ScriptedStreamer(["4"]))
    while not isinstance(await anext(watched), Outcome):
        pass
    await watched.aclose()
    assert (told.calls, len(told.answered)) == ([], 2)


async def test_a_stream_that_is_refused_was_no_request() -> None:
    told, sampler = Told(), ScriptedSampler([SamplerError("gone")])
    with pytest.raises(SamplerError):
        Middleware(as_it_comes, observers=[told]).run(REQUEST, sampler)
    assert (told.calls[0].begun, told.calls[0].usage.requests) == (1, 1)


async def test_continuations_that_were_under_way_are_counted() -> None:
    told, hanging = Told(), asyncio.Event()

    class Hangs:
        async def aextend(self, request: Request, paths: Sequence[Path], fanout: int) -> Sequence[Path]:
            hanging.set()
            await asyncio.sleep(60)
            return []

    def continued(request: Request) -> Flow[Outcome]:
        paths = yield from Extend(request, (Path(done=False),), 3)
        return Outcome(paths[0])

    made = Middleware(continued, observers=[told])
    task = asyncio.create_task(made.arun(REQUEST, ScriptedSampler(["4"]), extender=Hangs()))
    await asyncio.wait_for(hanging.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (told.calls[0].begun, told.calls[0].usage.requests) == (3, 3)


def test_a_call_that_a_budget_refuses_has_used_nothing() -> None:
    told = Told()
    rule = Rule("capped", best_of_n(fixed(2), score=False), budget=Ledger((Cap("requests", 1),)))
    made = Middleware(rules=[rule], observers=[told])
    made.run(REQUEST, ScriptedSampler(["4"]))
    with pytest.raises(BudgetExhausted):
        made.run(REQUEST, ScriptedSampler(["4"]))
    (call,) = told.calls
    assert (call.why, call.usage, call.begun) == ("failed: AMW-E603", Usage(), 0)


def test_a_plain_call_of_a_rule_in_shadow_that_fails_is_told_as_what_it_was() -> None:
    told = Told()
    made = Middleware(rules=[Rule("code", best_of_n(fixed(3)), shadow=True)], observers=[told])
    with pytest.raises(SamplerError):
        made.run(REQUEST, ScriptedSampler([SamplerError("gone")]))
    assert [(call.rule, call.begun) for call in told.calls] == [("code", 1)]


def test_what_an_observer_raises_is_logged_and_the_call_keeps_its_own_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    bad, good = Told(fails=True), Told()
    made = Middleware(observers=[bad, good])
    for _ in range(2):
        with pytest.raises(SamplerError, match="gone"):
            made.run(REQUEST, ScriptedSampler([SamplerError("gone")]))
    assert (len(bad.calls), len(good.calls), len(caplog.records)) == (2, 2, 1)


def test_nothing_is_counted_where_nobody_is_told() -> None:
    made = Middleware(observers=[Answered()])
    call = Call.of(made._now, REQUEST)
    assert (call.tally, call.closed) == (None, None)
    with pytest.raises(SamplerError):
        made.run(REQUEST, ScriptedSampler([SamplerError("gone")]))
    with pytest.raises(SamplerError):
        Middleware().run(REQUEST, ScriptedSampler([SamplerError("gone")]))
