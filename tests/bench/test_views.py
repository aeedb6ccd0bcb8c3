"""Views: a rule sees what its view says, and nothing else."""

from dataclasses import replace
from math import exp

import pytest

from adaptive_middleware.recording import Problem
from adaptive_middleware.replay import take
from bench.allocation.recordings import Pool, Source
from bench.allocation.views import View, possible, scenes
from tests.bench.recordings import counted, scored


def pool(problems: list[Problem]) -> Pool:
    return Pool(Source("made", __file__), tuple(problems), False, 6, 4, 2, "tokens")  # type: ignore[arg-type]


def test_votes_and_the_oracle_read_no_score_and_pay_none() -> None:
    for view in (View.votes, View.oracle):
        world = scenes(pool(scored(12)), view)
        assert not world.scored
        assert not world.asked
        assert all(one.verified is (view is View.oracle) for one in world.reels)


def test_the_view_of_scores_shows_no_log_probabilities() -> None:
    world = scenes(pool(scored(3)), View.scores)
    assert world.scored
    assert all(path.logprobs is None for one in world.reels for path in one.tape.paths)


def test_log_probabilities_alone_mean_the_tokens_geometric_mean_and_cost_no_prm_tokens() -> None:
    problems = scored(3)
    world = scenes(pool(problems), View.logprobs)
    first, logprobs = world.reels[0].tape.paths[0], problems[0].samples[0].logprobs
    assert logprobs is not None
    assert take(first).scores.values == pytest.approx((exp(logprobs[1]),))
    assert take(first).scores.tokens == 0
    assert not world.asked


def test_a_log_probability_that_is_missing_gives_no_score() -> None:
    problems = scored(3)
    problems[0] = replace(
        problems[0], samples=tuple(replace(one, logprobs=None) for one in problems[0].samples)
    )
    world = scenes(pool(problems), View.logprobs)
    assert not world.reels[0].tape.scored


def test_calibration_never_sees_the_problem_it_is_used_on() -> None:
    problems = scored(10)
    flipped = [
        replace(
            problems[0], samples=tuple(replace(one, correct=not one.correct) for one in problems[0].samples)
        ),
        *problems[1:],
    ]
    same, other = (scenes(pool(each), View.both).reels[0] for each in (problems, flipped))
    for a, b in zip(same.tape.paths, other.tape.paths, strict=True):
        assert same.calibrate(a, take(a).scores) == other.calibrate(b, take(b).scores)


def test_a_recording_allows_the_views_it_has_signals_for() -> None:
    assert set(possible(scored(2))) == set(View)
    assert set(possible(scored(2, logprobs=False))) == {View.votes, View.oracle, View.raw, View.scores}
    assert set(possible(counted((1, 2)))) == {View.votes, View.oracle}


def test_the_lab_bundle_is_named_by_its_place_in_the_project() -> None:
    source = Source("made", __file__, calibration="adaptive_middleware/lab/calibration.json")  # type: ignore[arg-type]
    world = scenes(replace(pool(scored(2)), source=source), View.both)
    assert world.calibration.startswith("calibration adaptive_middleware/lab/calibration.json")
