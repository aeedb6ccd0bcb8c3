"""What prune does at a limit, when it is stopped, and with answers that hold next to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from adaptive_middleware.effects import Advance, Begin, Drop, Effect, Flow
from adaptive_middleware.engine import arun, run
from adaptive_middleware.errors import BudgetError, DeadlineExceeded, NotStreaming
from adaptive_middleware.policy import dominated, fixed, optimal_stopping
from adaptive_middleware.ports import AsyncPorts, Ports
from adaptive_middleware.strategies.guards import fail_open, within
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer, TableScorer
from adaptive_middleware.types import Outcome, Path, Request, State, Verdict

REQUEST = Request("What is 2 + 2?")
LONG = "a a\n\nb b\n\nc c\n\nd d"
BETTER = "so so\n\nb b\n\nc c\n\nd d"
SHORT = "4"


def rule(path: Path) -> list[float]:
    return [0.6 if path.text.startswith("so") else 0.3] * max(len(path.steps), 1)


def world(*script: str) -> tuple[Ports, ScriptedStreamer]:
    streamer = ScriptedStreamer(script)
    return Ports(ScriptedSampler(["plain"]), TableScorer(rule), streamer=streamer), streamer


def on_advance(flow: Flow[Outcome], number: int, error: BaseException) -> Flow[Outcome]:
    """`flow`, whose reading of a step number `number` (from 1) fails with `error`."""
    effect: Effect[object] = next(flow)
    seen = 0
    try:
        while True:
            seen += isinstance(effect, Advance)
            if isinstance(effect, Advance) and seen == number:
                effect = flow.throw(error)
            else:
                effect = flow.send((yield effect))
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome


def everything(state: State, candidate: object) -> int:
    return 1


FOUR = prune(fixed(4), everything, score_question=False)
LATE = DeadlineExceeded("no time left")


def test_at_a_limit_open_answers_are_closed_and_paid_and_the_best_finished_one_is_returned() -> None:
    ports, streamer = world(SHORT, LONG, BETTER, LONG)
    outcome = run(on_advance(FOUR(REQUEST), 3, LATE), ports)
    assert outcome.chosen.text == SHORT
    assert [one.path.text for one in outcome.dropped] == streamer.dropped
    assert streamer.dropped == ["a a\n\nb b\n\n", "so so\n\nb b\n\n", "a a\n\nb b\n\n"]
    assert outcome.usage.completion_tokens == 1 + 3 * 4
    assert outcome.degraded == ("DeadlineExceeded: no time left",)


def test_without_a_finished_answer_the_best_open_one_is_returned_as_cut_off() -> None:
    ports, streamer = world(LONG, BETTER, LONG, LONG)
    outcome = run(on_advance(FOUR(REQUEST), 2, LATE), ports)
    assert outcome.chosen.text == "so so\n\n"
    assert (outcome.chosen.done, outcome.chosen.finish_reason) == (False, "length")
    assert outcome.usage.completion_tokens == 4 * 2
    assert len(outcome.dropped) == 3
    assert len(streamer.dropped) == 4
    assert outcome.degraded == (
        "DeadlineExceeded: no time left",
        "no answer was finished: the best open one is returned as it is",
    )


def test_a_cut_off_answer_has_no_probability_because_it_will_not_be_continued() -> None:
    outcome = run(on_advance(FOUR(REQUEST), 2, LATE), world(LONG, BETTER)[0])
    assert outcome.choice is not None
    assert outcome.choice.probability is None


def test_where_everything_was_dropped_before_the_limit_the_best_of_that_is_returned() -> None:
    def promising(path: Path) -> list[float]:
        return [{"a": 0.1, "s": 0.2}.get(path.text[:1], 0.9)] * max(len(path.steps), 1)

    streamer = ScriptedStreamer([LONG, BETTER])
    ports = Ports(ScriptedSampler(["x"]), TableScorer(promising), streamer=streamer)
    strategy = prune(fixed(4), dominated(give_up=0.5), score_question=False)
    outcome = run(within(strategy(REQUEST), tokens=4), ports)
    assert outcome.chosen.text == "so so\n\n"
    assert outcome.chosen.finish_reason == "length"
    assert outcome.degraded[0].startswith("TokensExceeded")
    assert len(outcome.dropped) + len(outcome.considered) == len(streamer.dropped)


def test_with_nothing_read_the_limit_is_the_callers_to_see_and_all_is_closed() -> None:
    ports, streamer = world(LONG)
    with pytest.raises(BudgetError):
        run(on_advance(FOUR(REQUEST), 1, LATE), ports)
    assert streamer.dropped == [""] * 4


def test_the_guard_of_the_deadline_settles_the_same_way() -> None:
    ticks = iter([0.0, 0.0, 9.0])
    outcome = run(within(FOUR(REQUEST), deadline=5.0, clock=lambda: next(ticks)), world(LONG, BETTER)[0])
    assert outcome.chosen.text == "so so\n\n"
    assert outcome.degraded[0].startswith("DeadlineExceeded")


class Slow:
    """Never comes to a verdict in time."""

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        raise LATE


def test_a_finished_answer_that_could_not_be_checked_in_time_is_returned_unchecked() -> None:
    ports, streamer = world(SHORT, LONG)
    flow = prune(fixed(2), everything, verify=True)(REQUEST)
    outcome = run(flow, Ports(ports.sampler, ports.scorer, Slow(), streamer))
    assert outcome.chosen.text == SHORT
    assert streamer.dropped == ["a a\n\n"]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), ValueError("bug")])
def test_whatever_stops_the_flow_closes_what_is_open_and_goes_on_its_way(error: BaseException) -> None:
    ports, streamer = world(LONG)
    with pytest.raises(type(error)):
        run(on_advance(FOUR(REQUEST), 2, error), ports)
    assert streamer.dropped == ["a a\n\n"] * 4


def test_a_flow_that_is_closed_ends_without_another_wish() -> None:
    flow = FOUR(REQUEST)
    assert isinstance(next(flow), Begin)
    assert isinstance(flow.send([Path(done=False, raw="x")]), Advance)
    flow.close()


async def test_a_cancelled_task_leaves_nothing_open() -> None:
    class Waiting(ScriptedStreamer):
        async def aadvance(self, request: Request, paths: Sequence[Path]) -> list[Path]:
            await asyncio.sleep(3600)
            return list(paths)

    streamer = Waiting([LONG])
    task = asyncio.create_task(
        arun(FOUR(REQUEST), AsyncPorts(ScriptedSampler(["x"]), TableScorer(rule), streamer=streamer))
    )
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert streamer.dropped == [""] * 4


def test_a_policy_that_breaks_while_answers_are_open_costs_them_and_nothing_more() -> None:
    def breaks(state: State, candidate: object) -> int:
        message = "bug"
        raise ValueError(message)

    ports, streamer = world(LONG, SHORT)
    outcome = run(fail_open(prune(fixed(2), breaks)(REQUEST), REQUEST), ports)
    assert outcome.chosen.text == SHORT
    assert streamer.dropped == ["a a\n\n"]
    assert outcome.usage.completion_tokens == 1 + 2
    assert outcome.degraded == ("ValueError: bug",)


class Jammed(ScriptedStreamer):
    """Cannot be closed."""

    def drop(self, request: Request, paths: Sequence[Path]) -> list[Path]:
        message = "reset by peer"
        raise ConnectionError(message)


def test_an_answer_that_cannot_be_closed_is_paid_and_does_not_fail_the_call() -> None:
    ports = Ports(ScriptedSampler(["x"]), TableScorer(rule), streamer=Jammed([LONG, BETTER]))
    flow = prune(fixed(2), dominated(give_up=0.5), score_question=False)(REQUEST)
    outcome = run(fail_open(flow, REQUEST), ports)
    assert outcome.chosen.text == BETTER
    assert outcome.usage.completion_tokens == 8 + 2
    assert outcome.degraded == ("an open answer was not closed cleanly: ConnectionError: reset by peer",)


class Refusing(ScriptedStreamer):
    """Opens answers and refuses to stream them when they are read."""

    def advance(self, request: Request, paths: Sequence[Path]) -> list[Path]:
        if len(self.calls) < 2 and not any(path.raw == SHORT for path in paths):
            message = "stream=true is not supported"
            raise NotStreaming(message)
        return super().advance(request, paths)


def test_a_provider_that_refuses_when_the_first_answer_is_read_gets_whole_ones() -> None:
    streamer = Refusing([LONG])
    ports = Ports(ScriptedSampler(["plain"]), TableScorer(rule), streamer=streamer)
    outcome = run(fail_open(FOUR(REQUEST), REQUEST), ports)
    assert [one.path.text for one in outcome.considered] == ["plain"] * 4
    assert streamer.dropped == [""] * 4
    assert outcome.degraded == ("NotStreaming: stream=true is not supported",)


def test_a_provider_that_refuses_once_an_answer_is_there_ends_the_call_with_it() -> None:
    class Once(ScriptedStreamer):
        def begin(self, request: Request, n: int) -> list[Path]:
            if self.calls:
                message = "no more streams"
                raise NotStreaming(message)
            return super().begin(request, n)

    sampler = ScriptedSampler(["plain"])
    ports = Ports(sampler, TableScorer(rule), streamer=Once([SHORT]))
    outcome = run(prune(lambda state: 1, everything)(REQUEST), ports)
    assert (outcome.chosen.text, sampler.calls) == (SHORT, [])
    assert outcome.degraded == ("NotStreaming: no more streams",)


def test_new_answers_are_opened_when_the_belief_says_so_and_not_when_the_leader_is_good() -> None:
    def scored(by: Callable[[Path], float]) -> tuple[Outcome, list[int]]:
        streamer = ScriptedStreamer(["bad one\n\nbad\n\n5", "so it\n\nis\n\n4"])
        ports = Ports(
            ScriptedSampler(["x"]),
            TableScorer(lambda path: [by(path)] * max(len(path.steps), 1)),
            streamer=streamer,
        )
        strategy = prune(optimal_stopping(target=0.9, window=1), dominated(give_up=0.2), max_samples=8)
        return run(strategy(REQUEST), ports), streamer.calls

    dropped, opened = scored(lambda path: 0.97 if path.text.startswith("so") else 0.1 if path.steps else 0.6)
    assert opened == [1, 1]
    assert dropped.chosen.text.startswith("so")
    assert [one.path.text for one in dropped.dropped] == ["bad one\n\n"]
    finished, opened = scored(lambda path: 0.97 if path.steps else 0.6)
    assert opened == [1]
    assert finished.chosen.text.startswith("bad")


@pytest.mark.parametrize("text", ["", "  \n ", "\n\n\n", "4", "\n\n4"])
def test_answers_that_are_empty_or_end_at_once_are_candidates_like_any_other(text: str) -> None:
    outcome = run(prune(fixed(3), everything)(REQUEST), world(text)[0])
    assert len(outcome.considered) == 3
    assert outcome.chosen.text == text
    assert ("empty answer" in outcome.degraded) is (not text.strip())


def test_a_step_without_visible_text_is_not_scored_and_not_dropped() -> None:
    class Blank(ScriptedStreamer):
        def advance(self, request: Request, paths: Sequence[Path]) -> list[Path]:
            return [Path((*path.steps, " \n"), done=len(path.steps) > 1, raw=path.raw) for path in paths]

    scorer = TableScorer(rule)
    ports = Ports(ScriptedSampler(["x"]), scorer, streamer=Blank([LONG]))
    flow = prune(fixed(1), dominated(give_up=0.99), score_question=False)
    outcome = run(flow(REQUEST), ports)
    assert scorer.seen == []
    assert outcome.chosen.steps == (" \n",) * 3


def test_of_a_drop_every_path_is_named_once() -> None:
    effects: list[Effect[object]] = []

    def watched(flow: Flow[Outcome]) -> Flow[Outcome]:
        effect = next(flow)
        try:
            while True:
                effects.append(effect)
                effect = flow.send((yield effect))
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome

    flow = prune(fixed(3), dominated(give_up=0.5), score_question=False)
    run(watched(flow(REQUEST)), world(BETTER, LONG, LONG)[0])
    drops = [effect.paths for effect in effects if isinstance(effect, Drop)]
    assert [len(paths) for paths in drops] == [2]
