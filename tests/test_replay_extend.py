"""Beam search on a recording: continuations are recorded samples that begin alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.recording import Problem, RecordedSample
from adaptive_middleware.replay import (
    ENDED,
    RecordedExtender,
    RecordedSampler,
    once,
    recorded_answer,
    replay,
    take,
    tape,
)
from adaptive_middleware.strategies.beam import beam
from adaptive_middleware.tapes import Tape
from adaptive_middleware.types import Outcome, Path, Request

REQUEST = Request("why")
ROOT = Path(done=False)


def recorded(*texts: str) -> Tape:
    """Samples of which every step is a line, costs 10 tokens, and scores by the digit it ends with."""
    samples = tuple(
        RecordedSample(
            text,
            correct=text.endswith("9"),
            tokens=10 * len(text.splitlines()),
            scores=tuple(int(line[-1]) / 10 for line in text.splitlines()),
            step_tokens=(10,) * len(text.splitlines()),
        )
        for text in texts
    )
    return tape(Problem("p", "why", samples, question_score=0.5))


def extender(reel: Tape) -> RecordedExtender:
    return RecordedExtender(RecordedSampler(reel, range(len(reel.paths))))


def grown(world: RecordedExtender, paths: list[Path], fanout: int) -> list[str]:
    return [path.text for path in world.extend(REQUEST, paths, fanout)]


FOUR = ("a1\nb2\nc3", "a1\nb2\nd9", "a1\nx5", "z0\ny0")


def test_the_beginning_is_the_first_step_of_the_next_samples_in_order() -> None:
    world = extender(recorded(*FOUR))
    assert grown(world, [ROOT], 2) == ["a1\n", "a1\n"]
    assert grown(world, [ROOT], 9) == ["a1\n", "z0\n"]
    assert (world.sampler.drawn, world.sampler.refused) == (4, 7)


def test_a_path_goes_on_as_its_own_sample_and_then_as_those_that_begin_alike() -> None:
    world = extender(recorded(*FOUR))
    first = world.extend(REQUEST, [ROOT], 1)
    assert grown(world, first, 4) == ["a1\nb2\n", "a1\nb2\n", "a1\nx5"]
    assert world.sampler.refused == 1


def test_each_sample_is_used_once_and_no_step_is_given_twice() -> None:
    world = extender(recorded(*FOUR[:1]))
    first = world.extend(REQUEST, [ROOT], 1)
    second = world.extend(REQUEST, first, 1)
    assert [path.text for path in second] == ["a1\nb2\n"]
    assert world.extend(REQUEST, first, 1) == []
    assert world.sampler.refused == 1
    assert grown(world, second, 1) == [FOUR[0]]


def test_a_sample_that_is_exactly_that_long_is_no_continuation() -> None:
    world = extender(recorded("a1\nb2\nc3", "a1\nb2"))
    first = world.extend(REQUEST, [ROOT], 1)
    second = world.extend(REQUEST, first, 1)
    assert grown(world, second, 2) == ["a1\nb2\nc3"]


def test_a_step_costs_what_it_has_in_its_own_sample_and_scores_what_was_recorded() -> None:
    world = extender(recorded(*FOUR))
    first = world.extend(REQUEST, [ROOT], 1)
    longer = world.extend(REQUEST, first, 3)
    assert [path.usage.completion_tokens for path in (*first, *longer)] == [10] * 4
    assert [take(path).scores.values for path in longer] == [(0.1, 0.2), (0.1, 0.2), (0.1, 0.5)]
    assert [path.ended for path in longer] == [False, False, True]


def test_an_empty_sample_is_an_answer_that_ends_at_once() -> None:
    reel = tape(Problem("p", "why", (RecordedSample("", correct=False, tokens=3),)))
    (path,) = extender(reel).extend(REQUEST, [ROOT], 1)
    assert (path.steps, path.ended, path.usage.completion_tokens) == ((), True, 3)


def test_beam_search_replays_and_says_where_the_recording_ended() -> None:
    outcome = replay(recorded(*FOUR), beam(4, 2, "fixed", answer=recorded_answer))
    # 4 first steps; the best two of them (a1, a1: ties in order) go on as themselves, nothing is left to join them
    assert [one.path.text for one in outcome.considered] == ["a1\nb2\nc3", "a1\nb2\nd9"]
    assert take(outcome.chosen).correct
    assert outcome.usage.completion_tokens == 10 * (4 + 2 + 2)
    assert len(outcome.dropped) == 2
    assert outcome.degraded[-1].startswith(f"{ENDED} after 4 samples; 4 more were asked for")


@pytest.mark.parametrize("adapt", ["fixed", "k", "m"])
def test_estimates_computed_once_serve_beams_too(adapt: str) -> None:
    reel = recorded(*FOUR)

    def outcome(calibrate: object) -> Outcome:
        strategy = beam(4, 2, adapt, calibrate=calibrate, answer=recorded_answer)  # type: ignore[arg-type]
        return replay(reel, strategy)

    first, second = outcome(uncalibrated), outcome(once(uncalibrated, reel))
    assert (first.chosen, first.considered, first.usage) == (second.chosen, second.considered, second.usage)


LINES = st.lists(st.sampled_from(["a1", "b5", "c9"]), min_size=1, max_size=4).map("\n".join)


@given(st.lists(LINES, min_size=1, max_size=6), st.integers(1, 6), st.integers(1, 3), st.randoms())
def test_nothing_costs_more_than_all_samples_and_every_answer_was_recorded(
    texts: list[str], samples: int, fanout: int, chance: object
) -> None:
    reel = recorded(*texts)
    order = list(range(len(texts)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    outcome = replay(reel, beam(samples, min(samples, fanout), "k", answer=recorded_answer), order)
    assert outcome.usage.completion_tokens <= 10 * sum(len(text.splitlines()) for text in texts)
    answers = [one.path for one in outcome.considered if one.path.done]
    assert len({take(path).sample for path in answers}) == len(answers)
    assert all(path.text in texts for path in answers)
    assert all(path.usage.completion_tokens == 10 * len(path.steps) for path in answers)
