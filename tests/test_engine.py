from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.effects import Advance, Begin, Drop, Effect, Flow, Sample, Score, Verify
from adaptive_middleware.engine import arun, checked_scores, run
from adaptive_middleware.errors import DeadlineExceeded, NotStreaming, SamplerError, ScorerError
from adaptive_middleware.ports import AsyncPorts, Ports
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer, TableScorer, answer
from adaptive_middleware.types import Path, Request, State, StepScores, Verdict

REQUEST = Request("How many?")
NAN = float("nan")


class Evens:
    """Passes the even answers."""

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        return [Verdict(int(path.text) % 2 == 0) for path in paths]

    async def averify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        return self.verify(request, paths)


def every_effect() -> Flow[list[object]]:
    paths = yield from Sample(REQUEST, 2)
    scores = yield from Score(REQUEST, tuple(paths))
    verdicts = yield from Verify(REQUEST, tuple(paths))
    return [path.text for path in paths] + [s.values for s in scores] + [v.passed for v in verdicts]


EXPECTED: list[object] = ["4", "5", (0.5,), (0.5,), True, False]


def test_run_answers_every_effect_from_its_port() -> None:
    ports = Ports(ScriptedSampler(["4", "5"]), TableScorer(0.5), Evens())
    assert run(every_effect(), ports) == EXPECTED


async def test_arun_answers_every_effect_from_its_port() -> None:
    ports = AsyncPorts(ScriptedSampler(["4", "5"]), TableScorer(0.5), Evens())
    assert await arun(every_effect(), ports) == EXPECTED


def every_streaming_effect() -> Flow[list[tuple[str, bool]]]:
    opened = yield from Begin(REQUEST, 2)
    read = yield from Advance(REQUEST, tuple(opened))
    closed = yield from Drop(REQUEST, (read[1],))
    ended = yield from Advance(REQUEST, (read[0],))
    return [(path.text, path.done) for path in (*opened, *read, *closed, *ended)]


STEPS = ["a\n\nb", "c\n\nd"]
READ = [("", False), ("", False), ("a\n\n", False), ("c\n\n", False), ("c\n\n", False), ("a\n\nb", True)]


async def test_open_answers_are_read_step_by_step_by_both_drivers() -> None:
    sampler = ScriptedSampler(["x"])
    streamers = [ScriptedStreamer(STEPS), ScriptedStreamer(STEPS)]
    assert run(every_streaming_effect(), Ports(sampler, streamer=streamers[0])) == READ
    assert await arun(every_streaming_effect(), AsyncPorts(sampler, streamer=streamers[1])) == READ
    assert [streamer.dropped for streamer in streamers] == [["c\n\n"]] * 2


async def test_without_a_streamer_no_answer_can_be_opened() -> None:
    with pytest.raises(NotStreaming, match="no streamer"):
        run(every_streaming_effect(), Ports(ScriptedSampler(["x"])))
    with pytest.raises(NotStreaming, match="no streamer"):
        await arun(every_streaming_effect(), AsyncPorts(ScriptedSampler(["x"])))


class Forgetful(ScriptedStreamer):
    """Loses an open answer."""

    def advance(self, request: Request, paths: Sequence[Path]) -> list[Path]:
        return super().advance(request, paths)[1:]


async def test_a_streamer_that_loses_an_answer_is_found_out() -> None:
    with pytest.raises(SamplerError, match="1 paths for 2 open ones"):
        run(every_streaming_effect(), Ports(ScriptedSampler(["x"]), streamer=Forgetful(STEPS)))
    with pytest.raises(SamplerError, match="1 paths for 2 open ones"):
        await arun(every_streaming_effect(), AsyncPorts(ScriptedSampler(["x"]), streamer=Forgetful(STEPS)))


def without_verifier() -> Flow[list[bool | None]]:
    verdicts = yield from Verify(REQUEST, (answer("4"),))
    return [verdict.passed for verdict in verdicts]


async def test_without_a_verifier_nothing_is_known_and_nothing_fails() -> None:
    assert run(without_verifier(), Ports(ScriptedSampler(["4"]))) == [None]
    assert await arun(without_verifier(), AsyncPorts(ScriptedSampler(["4"]))) == [None]


def catches(effect: Effect[Any]) -> Flow[str]:
    try:
        yield effect
    except (ScorerError, TypeError, ConnectionError) as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


async def test_a_missing_scorer_is_an_error_that_names_the_setting() -> None:
    effect = Score(REQUEST, ())
    for message in (
        run(catches(effect), Ports(ScriptedSampler(["4"]))),
        await arun(catches(effect), AsyncPorts(ScriptedSampler(["4"]))),
    ):
        assert message.startswith("ScorerError")
        assert "set `prm`" in message


async def test_an_effect_that_no_driver_knows_is_a_type_error() -> None:
    class Dance(Effect[None]):
        pass

    assert "unknown effect" in run(catches(Dance()), Ports(ScriptedSampler(["4"])))
    assert "unknown effect" in await arun(catches(Dance()), AsyncPorts(ScriptedSampler(["4"])))


async def test_errors_of_ports_are_thrown_into_the_flow() -> None:
    sampler = ScriptedSampler([ConnectionError("down")])
    expected = "ConnectionError: down"
    assert run(catches(Sample(REQUEST, 1)), Ports(sampler)) == expected
    assert await arun(catches(Sample(REQUEST, 1)), AsyncPorts(sampler)) == expected


def test_an_error_that_the_flow_does_not_catch_reaches_the_caller_unchanged() -> None:
    error = ConnectionError("down")
    with pytest.raises(ConnectionError) as caught:
        run(best_of_n(lambda _: 1, score=False)(REQUEST), Ports(ScriptedSampler([error])))
    assert caught.value is error


class Slow:
    cancelled = False

    async def asample(self, request: Request, n: int) -> list[Path]:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return []


async def test_the_deadline_cancels_a_draw_that_is_under_way() -> None:
    slow = Slow()
    request = Request("?", deadline=time.monotonic() + 0.02)
    with pytest.raises(DeadlineExceeded, match="Sample was cancelled"):
        await arun(best_of_n(lambda _: 1, score=False)(request), AsyncPorts(slow))
    assert slow.cancelled


async def test_a_port_that_times_out_by_itself_before_the_deadline_keeps_its_own_error() -> None:
    request = Request("?", deadline=time.monotonic() + 30)
    with pytest.raises(TimeoutError, match="upstream"):
        await arun(
            best_of_n(lambda _: 1, score=False)(request),
            AsyncPorts(ScriptedSampler([TimeoutError("upstream")])),
        )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((0.5, NAN), "nan"),
        ((0.5, 1.5), "1.5"),
        ((0.5, -0.1), "-0.1"),
        ((0.5, float("inf")), "inf"),
        ((0.5,), "1 scores for 2 steps"),
        ((), "0 scores for 2 steps"),
    ],
)
def test_unusable_scores_are_rejected_with_the_reason_and_their_cost(
    values: tuple[float, ...], reason: str
) -> None:
    path = answer("a\nb")
    (checked,) = checked_scores([path], [StepScores(values, tokens=3)])
    assert checked.values == ()
    assert checked.tokens == 3
    assert checked.rejected is not None
    assert reason in checked.rejected


def test_one_bad_score_set_does_not_spoil_the_others() -> None:
    good = StepScores((0.5,), tokens=1)
    assert checked_scores([answer("a"), answer("b")], [StepScores((NAN,)), good])[1] is good


def test_scores_of_the_last_steps_only_are_accepted_when_they_say_so() -> None:
    cut = StepScores((0.5,), first=1)
    assert checked_scores([answer("a\nb")], [cut]) == [cut]


def test_a_wrong_number_of_score_sets_is_a_scorer_error() -> None:
    with pytest.raises(ScorerError, match="1 score sets for 2 paths"):
        checked_scores([answer("a"), answer("b")], [StepScores((0.5,))])


@given(
    script=st.lists(st.sampled_from(["4", "5", "six"]), min_size=1, max_size=6),
    value=st.floats(0, 1),
    wanted=st.lists(st.integers(0, 5), min_size=1, max_size=5),
)
def test_both_drivers_give_the_same_outcome(script: list[str], value: float, wanted: list[int]) -> None:
    def policy(state: State) -> int:
        return max([n - state.drawn for n in wanted])

    strategy = best_of_n(policy, max_samples=8)
    ports = Ports(ScriptedSampler(script), TableScorer(value))
    aports = AsyncPorts(ScriptedSampler(script), TableScorer(value))
    if max(wanted) == 0:
        return
    assert run(strategy(REQUEST), ports) == asyncio.run(arun(strategy(REQUEST), aports))
