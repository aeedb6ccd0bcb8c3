"""Easy calls stream in real time, hard ones go on unseen, and what was shown is the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.engine import arun, run
from adaptive_middleware.errors import BudgetError, DeadlineExceeded, NotStreaming, SamplerError
from adaptive_middleware.live import astream, stream
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.policy import fixed
from adaptive_middleware.ports import AsyncPorts, Ports
from adaptive_middleware.rules import Rule
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.first_good import first_good
from adaptive_middleware.strategies.guards import fail_open, within
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer, TableScorer
from adaptive_middleware.types import Estimate, Outcome, Path, Request, StepScores, Usage, Verdict

REQUEST = Request("What is 2 + 2?")
FIRST = "so it is\n\nfour and\n\n4"
GROWN = ["so it is\n\n", "so it is\n\nfour and\n\n", FIRST]
TWO = best_of_n(fixed(2), max_samples=2)
STRATEGY = first_good(TWO)


def scorer(question: float, steps: float) -> TableScorer:
    return TableScorer(lambda path: [steps] * len(path.steps) or [question])


def world(question: float, steps: float, *script: str | Path) -> Ports:
    streamer = ScriptedStreamer(script or [FIRST])
    return Ports(ScriptedSampler(["plain", "other"]), scorer(question, steps), streamer=streamer)


def dropped(ports: Ports) -> list[str]:
    assert isinstance(ports.streamer, ScriptedStreamer)
    return ports.streamer.dropped


def drawn(ports: Ports) -> list[int]:
    assert isinstance(ports.sampler, ScriptedSampler)
    return ports.sampler.calls


def watched(ports: Ports, strategy: first_good = STRATEGY) -> tuple[list[str], Outcome]:
    *seen, outcome = stream(strategy(REQUEST), ports)
    assert isinstance(outcome, Outcome)
    return [path.text for path in seen if isinstance(path, Path)], outcome


def test_an_easy_question_is_shown_from_its_first_word() -> None:
    seen, outcome = watched(world(0.95, 0.9))
    assert seen == GROWN
    assert (outcome.chosen.text, outcome.shown_from, outcome.degraded) == (FIRST, 0, ())
    assert [one.because for one in outcome.decisions] == [
        "the question: lower 0.950 >= 0.9; the first answer is shown while it is written"
    ]
    assert outcome.choice is not None
    assert (outcome.choice.how, outcome.choice.probability) == ("shown while it was written", 0.9)


def test_a_good_beginning_is_shown_once_it_was_looked_at() -> None:
    ports = world(0.5, 0.95)
    seen, outcome = watched(ports, first_good(TWO, look=2))
    assert seen == GROWN[1:]
    assert outcome.shown_from == 2
    assert outcome.usage.completion_tokens == len(FIRST.split())
    assert drawn(ports) == []
    assert dropped(ports) == []


def test_a_hard_call_is_never_shown_and_its_first_answer_is_dropped_and_paid() -> None:
    ports = world(0.5, 0.4)
    seen, outcome = watched(ports)
    assert seen == []
    assert outcome.chosen.text == "plain"
    assert outcome.shown_from is None
    assert outcome.usage.completion_tokens == 3 + 2
    assert [one.path.text for one in outcome.dropped] == dropped(ports) == ["so it is\n\n"]
    assert outcome.strategy.startswith("first-good, then best-of-n")
    assert [one.because for one in outcome.decisions][:2] == [
        "the question: lower 0.500 < 0.9",
        "the first 1 steps: lower 0.400 < 0.9",
    ]


def test_the_mean_decides_where_that_is_wanted() -> None:
    def wide(path: Path, scores: StepScores) -> Estimate:
        return Estimate(0.95, 0.5, 0.99)

    assert watched(world(0.5, 0.5), first_good(TWO, by="mean", calibrate=wide))[1].shown_from == 0
    assert watched(world(0.5, 0.5), first_good(TWO, by="lower", calibrate=wide))[1].shown_from is None


def test_the_question_is_scored_even_where_only_one_more_answer_may_be_drawn() -> None:
    one = first_good(best_of_n(fixed(1), max_samples=1), max_samples=1)
    assert watched(world(0.95, 0.1), one)[1].shown_from == 0


def test_without_the_questions_score_the_first_steps_decide() -> None:
    outcome = watched(world(0.95, 0.95), first_good(TWO, score_question=False))[1]
    assert outcome.shown_from == 1
    assert outcome.question is None


@pytest.mark.parametrize(("p", "text", "calls"), [(0.95, "4", []), (0.5, "plain", [2])])
def test_a_first_answer_that_has_ended_already_is_kept_as_a_candidate(
    p: float, text: str, calls: list[int]
) -> None:
    def rule(path: Path) -> list[float]:
        return [p if path.text == "4" else 0.7 if path.steps else 0.5] * max(len(path.steps), 1)

    ports = Ports(ScriptedSampler(["plain"]), TableScorer(rule), streamer=ScriptedStreamer(["4"]))
    seen, outcome = watched(ports)
    assert seen == []
    assert (outcome.chosen.text, drawn(ports)) == (text, calls)
    assert outcome.considered[0].path.text == "4"
    assert outcome.usage.completion_tokens == 1 + sum(calls)


def test_a_first_answer_that_has_ended_wins_over_worse_ones() -> None:
    def rule(path: Path) -> list[float]:
        return [0.8 if path.text == "4" else 0.3] * max(len(path.steps), 1)

    ports = Ports(ScriptedSampler(["plain"]), TableScorer(rule), streamer=ScriptedStreamer(["4"]))
    outcome = watched(ports)[1]
    assert outcome.chosen.text == "4"
    assert len(outcome.considered) == 3


class FourIsRight:
    """Passes 4 and nothing else."""

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        return [Verdict(path.text == "4") for path in paths]


@pytest.mark.parametrize(("text", "calls"), [("4", []), ("5", [2])])
def test_a_verdict_on_a_first_answer_that_has_ended_overrules_its_score(text: str, calls: list[int]) -> None:
    ports = world(0.1, 0.1, text)
    checked = Ports(ports.sampler, ports.scorer, FourIsRight(), ports.streamer)
    run(first_good(TWO, verify=True)(REQUEST), checked)
    assert drawn(ports) == calls


def test_where_nothing_streams_the_call_goes_on_otherwise_and_says_so() -> None:
    sampler = ScriptedSampler(["plain"])
    outcome = run(STRATEGY(REQUEST), Ports(sampler, scorer(0.95, 0.95)))
    assert outcome.degraded[0].startswith("NotStreaming")
    assert (outcome.chosen.text, sampler.calls) == ("plain", [2])


def test_a_provider_that_refuses_at_the_first_word_is_left_and_the_call_goes_on() -> None:
    class Refusing(ScriptedStreamer):
        def follow(self, request: Request, path: Path) -> Iterator[Path]:
            message = "stream=true is not supported"
            raise NotStreaming(message)

    streamer = Refusing([FIRST])
    ports = Ports(ScriptedSampler(["plain"]), scorer(0.95, 0.95), streamer=streamer)
    outcome = run(fail_open(STRATEGY(REQUEST), REQUEST), ports)
    assert outcome.degraded == ("NotStreaming: stream=true is not supported",)
    assert streamer.dropped == [""]


class Breaking(ScriptedStreamer):
    """Breaks after `good` steps of the followed answer."""

    def __init__(self, script: Sequence[str | Path], good: int, error: Exception) -> None:
        super().__init__(script)
        self.good, self.error = good, error

    def follow(self, request: Request, path: Path) -> Iterator[Path]:
        for longer in super().follow(request, path):
            if len(longer.steps) > self.good:
                raise self.error
            yield longer


LOST = ConnectionError("connection lost")


def broken(good: int, question: float = 0.95, error: Exception = LOST) -> Ports:
    return Ports(
        ScriptedSampler(["plain"]), scorer(question, 0.95), FourIsRight(), Breaking([FIRST], good, error)
    )


@pytest.mark.parametrize("error", [LOST, DeadlineExceeded("no time left")])
def test_after_something_was_shown_an_error_ends_the_call_with_that_and_never_with_a_second_answer(
    error: Exception,
) -> None:
    ports = broken(2, error=error)
    *seen, outcome = stream(fail_open(STRATEGY(REQUEST), REQUEST), ports)
    assert isinstance(outcome, Outcome)
    assert [one.text for one in seen if isinstance(one, Path)] == [*GROWN[:2], GROWN[1]]
    assert (outcome.chosen.text, outcome.chosen.done, outcome.chosen.finish_reason) == (
        GROWN[1],
        False,
        "truncated",
    )
    assert outcome.degraded == (f"the answer that was shown ended early: {type(error).__name__}: {error}",)
    assert outcome.usage.completion_tokens == 5
    assert (outcome.choice and outcome.choice.probability) is None
    assert drawn(ports) == []


def test_steps_that_were_looked_at_are_shown_before_the_stream_is_read_on() -> None:
    ports = broken(0, question=0.5)
    seen = [one.text for one in stream(STRATEGY(REQUEST), ports) if isinstance(one, Path)]
    assert seen == [GROWN[0], GROWN[0]]
    assert drawn(ports) == []


def test_an_error_before_anything_was_shown_is_the_callers_to_see() -> None:
    with pytest.raises(ConnectionError, match="connection lost"):
        run(fail_open(STRATEGY(REQUEST), REQUEST), broken(0))


def test_a_stream_that_ends_in_an_error_without_a_word_is_a_failed_sample() -> None:
    lost = Path(error="stalled", usage=Usage(completion_tokens=2, requests=1))
    ports = world(0.95, 0.95, lost)
    outcome = watched(ports)[1]
    assert outcome.failed == (lost,)
    assert (outcome.chosen.text, drawn(ports)) == ("plain", [2])
    assert outcome.usage.completion_tokens == 2 + 2


def test_a_stream_that_says_itself_that_it_broke_ends_the_call_too() -> None:
    cut = Path(("so it is\n\n", "four"), False, error="stalled", usage=Usage(completion_tokens=4))
    ports = world(0.95, 0.95, cut)
    outcome = watched(ports)[1]
    assert (outcome.chosen.text, outcome.chosen.error) == (cut.text, None)
    assert drawn(ports) == []


def test_the_deadline_before_the_first_word_gives_what_was_read_or_the_error() -> None:
    ticks = iter([0.0, 0.0, 9.0])
    flow = within(STRATEGY(REQUEST), deadline=5.0, clock=lambda: next(ticks))
    outcome = run(flow, world(0.5, 0.95))
    assert (outcome.chosen.text, outcome.chosen.finish_reason) == (GROWN[0], "length")
    assert outcome.degraded[0].startswith("DeadlineExceeded")
    with pytest.raises(BudgetError):
        run(within(STRATEGY(REQUEST), deadline=5.0, clock=lambda: 9.0), world(0.95, 0.95))


def test_a_judge_that_is_late_or_broken_after_the_answer_was_shown_does_not_change_it() -> None:
    class Late:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
            raise self.error

    for error in (DeadlineExceeded("no time left"), ZeroDivisionError("bug")):
        ports = world(0.95, 0.95)
        judged = Ports(ports.sampler, ports.scorer, Late(error), ports.streamer)
        outcome = run(fail_open(first_good(TWO, verify=True)(REQUEST), REQUEST), judged)
        assert outcome.chosen.text == FIRST
        assert str(error) in outcome.degraded[0]
        assert drawn(ports) == []


def test_a_strategy_that_breaks_after_a_cut_answer_was_shown_returns_what_was_shown() -> None:
    def breaks(path: Path) -> str | None:
        message = "bug"
        raise ValueError(message)

    ports = broken(2)
    outcome = run(fail_open(first_good(TWO, answer=breaks)(REQUEST), REQUEST), ports)
    assert (outcome.chosen.text, outcome.chosen.error) == (GROWN[1], None)
    assert drawn(ports) == []


def test_an_empty_first_answer_is_said_to_be_empty() -> None:
    assert "empty answer" in watched(world(0.95, 0.95, ""))[1].degraded


def test_whatever_stops_the_flow_closes_the_open_answer() -> None:
    class Stopping(ScriptedStreamer):
        def advance(self, request: Request, paths: Sequence[Path]) -> list[Path]:
            raise KeyboardInterrupt

    streamer = Stopping([FIRST])
    with pytest.raises(KeyboardInterrupt):
        run(STRATEGY(REQUEST), Ports(ScriptedSampler(["x"]), scorer(0.5, 0.5), streamer=streamer))
    assert streamer.dropped == [""]


def test_whoever_stops_watching_ends_the_call_and_nothing_else_is_asked_for() -> None:
    middleware = Middleware(STRATEGY, scorer=scorer(0.95, 0.95))
    streamer, sampler = ScriptedStreamer([FIRST]), ScriptedSampler(["plain"])
    seen = middleware.stream(REQUEST, sampler, streamer=streamer)
    next(seen)
    assert isinstance(seen, Generator)
    seen.close()
    assert streamer.dropped == [GROWN[0]]
    assert sampler.calls == []


def test_prune_can_take_over() -> None:
    ports = world(0.5, 0.4)
    outcome = run(first_good(prune(fixed(2), lambda s, c: 1))(REQUEST), ports)
    assert outcome.chosen.text == FIRST
    assert outcome.strategy.startswith("first-good, then prune")


async def test_a_deadline_that_passes_in_mid_word_ends_the_call_with_what_was_shown() -> None:
    class Slow(ScriptedStreamer):
        async def afollow(self, request: Request, path: Path) -> AsyncIterator[Path]:
            yield Path(("so it",), done=False, usage=Usage(completion_tokens=2), raw=path.raw)
            await asyncio.sleep(3600)

    middleware = Middleware(rules=[Rule("fast", STRATEGY, seconds=0.2)], scorer=scorer(0.95, 0.95))
    sampler, streamer = ScriptedSampler(["plain"]), Slow([FIRST])
    *seen, outcome = [one async for one in middleware.astream(REQUEST, sampler, streamer=streamer)]
    assert [one.text for one in seen if isinstance(one, Path)] == ["so it", "so it"]
    assert isinstance(outcome, Outcome)
    assert outcome.chosen.text == "so it"
    assert "Follow was cancelled at the call's deadline" in outcome.degraded[0]
    same = await middleware.arun(REQUEST, sampler, streamer=streamer)
    assert same.chosen.text == "so it"
    assert sampler.calls == []


async def test_a_time_out_of_the_streamer_itself_is_not_taken_for_the_deadline() -> None:
    class Stalling(ScriptedStreamer):
        async def afollow(self, request: Request, path: Path) -> AsyncIterator[Path]:
            message = "idle"
            raise TimeoutError(message)
            yield path

    request = Request("q", deadline=time.monotonic() + 3600)
    ports = AsyncPorts(ScriptedSampler(["x"]), scorer(0.95, 0.95), streamer=Stalling([FIRST]))
    with pytest.raises(TimeoutError, match="idle"):
        await arun(STRATEGY(request), ports)


SCRIPTS = st.lists(st.sampled_from([FIRST, "4", "", "a\n\nb", "x\n\ny\n\nz"]), min_size=1, max_size=3)


@given(SCRIPTS, st.floats(0, 1), st.floats(0, 1), st.integers(1, 4), st.integers(0, 3))
def test_all_four_drivers_give_the_same_outcome_and_what_was_shown_begins_the_answer(
    script: list[str], question: float, steps: float, look: int, good: int
) -> None:
    strategy = first_good(TWO, good=0.5, look=look)

    def fresh(made: Callable[..., Ports | AsyncPorts]) -> Ports | AsyncPorts:
        streamer = Breaking(script, good, LOST)
        return made(ScriptedSampler(["plain"]), scorer(question, steps), None, streamer)

    def outcomes() -> Iterator[Outcome | str]:
        yield run(strategy(REQUEST), fresh(Ports))  # type: ignore[arg-type]
        yield asyncio.run(arun(strategy(REQUEST), fresh(AsyncPorts)))  # type: ignore[arg-type]
        *seen, last = stream(strategy(REQUEST), fresh(Ports))  # type: ignore[arg-type]
        assert isinstance(last, Outcome)
        texts = [path.text for path in seen if isinstance(path, Path)]
        assert all(last.chosen.text.startswith(text) for text in texts)
        assert (last.shown_from is not None) or texts in ([], [""])
        yield last
        yield asyncio.run(_last(strategy, fresh(AsyncPorts)))

    try:
        first, *others = outcomes()
    except (ConnectionError, SamplerError):
        return
    assert all(other == first for other in others)


async def _last(strategy: first_good, ports: Ports | AsyncPorts) -> Outcome:
    assert isinstance(ports, AsyncPorts)
    *_, outcome = [one async for one in astream(strategy(REQUEST), ports)]
    assert isinstance(outcome, Outcome)
    return outcome
