"""Rows: means, intervals and shares, each against a closed form or another library."""

import json
from math import inf, nan

import numpy as np
import pytest
from scipy.stats import norm

from bench.allocation.curve import Floats
from bench.allocation.rows import GENERATED, Pair, absent, as_json, resamples

RNG = np.random.default_rng(1)


def flat(accuracy: float, cost: float, problems: int = 50) -> Floats:
    return np.tile([accuracy, cost / 10, cost, 3.0, 0.0], (problems, 1))


def linear(problems: int = 50) -> Floats:
    """Fixed N = 1, .., 4 at 10 tokens a sample: accuracies .5, .6, .7, .8."""
    return np.stack([flat(0.4 + n / 10, 10.0 * n, problems) for n in range(1, 5)], axis=1)


def test_the_interval_is_that_of_a_mean() -> None:
    values = RNG.normal(0.5, 0.1, 400)
    span = resamples(400, 0).span(values)
    half = norm.ppf(0.975) * values.std() / 20
    assert span.value == values.mean()
    assert (span.low, span.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=half / 10)


def test_resamples_are_whole_problems_drawn_with_replacement() -> None:
    weights = resamples(7, 0).weights * 7
    assert weights.shape == (2000, 7)
    assert weights.sum(axis=1).tolist() == pytest.approx([7.0] * 2000)
    assert weights == pytest.approx(weights.round())


def test_another_seed_gives_other_resamples_and_the_same_seed_the_same() -> None:
    assert (resamples(7, 0).weights == resamples(7, 0).weights).all()
    assert (resamples(7, 0).weights != resamples(7, 1).weights).any()


def test_fixed_n_itself_has_share_one() -> None:
    curve = linear()
    by = resamples(50, 0)
    assert [by.share(curve[:, n], curve, GENERATED).value for n in range(4)] == pytest.approx([1, 1, 1, 1])


def test_the_share_is_the_cost_over_what_fixed_n_needs_for_the_same_accuracy() -> None:
    row = resamples(50, 0).row("x", "g", Pair(flat(0.65, 10.0), linear()), GENERATED)
    assert row.share is not None
    assert (row.share.value, row.share.low, row.share.high) == pytest.approx((10 / 25,) * 3)


def test_a_rule_better_than_every_fixed_n_has_no_share() -> None:
    row = resamples(50, 0).row("x", "g", Pair(flat(0.81, 10.0), linear()), GENERATED)
    assert row.share is None
    assert as_json("r", row)["share_at_equal_accuracy"] is None


def test_differences_are_paired_by_problem() -> None:
    noise = RNG.random(50)
    one, other = flat(0.5, 20.0), flat(0.5, 40.0)
    one[:, 0], other[:, 0] = noise + 0.1, noise
    row = resamples(50, 0).row("x", "g", Pair(one, linear()), GENERATED, other)
    assert row.difference is not None
    assert row.ratio is not None
    assert (row.difference.low, row.difference.high) == pytest.approx((0.1, 0.1))
    assert row.ratio.value == pytest.approx(0.5)


def test_json_rows_have_exactly_the_documented_keys_and_null_for_the_unknown() -> None:
    figures = flat(0.65, 10.0)
    figures[:, 3] = nan
    row = as_json("r", resamples(50, 0).row("x", "g", Pair(figures, linear()), GENERATED))
    assert json.loads(json.dumps(row, allow_nan=False)) == {
        "recording": "r",
        "policy": "x",
        "accuracy": 0.65,
        "accuracy_ci95": [0.65, 0.65],
        "samples": 1.0,
        "generated_tokens": 10.0,
        "prompt_tokens": None,
        "prm_tokens": 0.0,
        "share_at_equal_accuracy": 0.4,
    }
    assert absent("r").keys() == row.keys()
    assert absent("r")["policy"] == "absent"


def test_part_of_the_resamples_may_lie_beyond_the_curves_end() -> None:
    figures, curve = flat(0.79, 10.0), linear()
    figures[:, 0] += RNG.normal(0, 0.3, 50)
    figures[:, 0] += 0.79 - figures[:, 0].mean()
    span = resamples(50, 0).share(figures, curve, GENERATED)
    assert span.low == 0
    assert 0 < span.value < span.high < inf
