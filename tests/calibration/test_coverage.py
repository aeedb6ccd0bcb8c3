from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import beta, betabinom, binom

from adaptive_middleware.calibration.coverage import coverage_lower, shares_below, transforms, units
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.posthoc import Calibration, QuantileMap
from adaptive_middleware.errors import CalibrationError

LEVELS = (0.1, 0.5, 0.9)
FINE = tuple(sorted((0.002, 0.005, *np.arange(0.02, 1, 0.04).round(2).tolist(), 0.1, 0.995, 0.998)))


def constant(quantiles: tuple[float, ...], mean: float, levels: tuple[float, ...] = LEVELS) -> Calibration:
    rows = tuple((q,) for q in quantiles)
    return Calibration(levels, {"any": QuantileMap(("last",), (1.0,), 0.0, (0.0,), (mean,), rows)})


def prefixes(right: npt.NDArray[Any], trials: int) -> list[Example]:
    return [Example((0.5,), 1, False, None, int(k) / trials, trials, f"p{i}") for i, k in enumerate(right)]


def test_transforms_agree_with_numerical_integration() -> None:
    quantiles = np.array([[0.2, 0.45, 0.8]])
    p = (np.arange(200_000) + 0.5) / 200_000
    density = np.interp(p, [0, 0.2, 0.45, 0.8, 1], [0, 1, 2, 3, 4], right=4)
    mass = np.select(
        [density < 1, density < 2, density < 3], [0.1 / 0.2, 0.4 / 0.25, 0.4 / 0.35], 0.1 / 0.2
    ) / len(p)
    for k, m in ((0, 8), (3, 8), (8, 8), (0, 1), (20, 32)):
        below, upto = transforms(quantiles, LEVELS, np.array([k]), np.array([m]))
        assert below[0] == pytest.approx(np.sum(binom.cdf(k - 1, m, p) * mass), abs=1e-4)
        assert upto[0] == pytest.approx(np.sum(binom.cdf(k, m, p) * mass), abs=1e-4)


def test_transforms_of_beta_quantiles_are_beta_binomial() -> None:
    quantiles = beta.ppf(FINE, 2, 3)[None, :]
    below, upto = transforms(quantiles, FINE, np.array([2]), np.array([8]))
    assert below[0] == pytest.approx(betabinom.cdf(1, 8, 2, 3), abs=2e-3)
    assert upto[0] == pytest.approx(betabinom.cdf(2, 8, 2, 3), abs=2e-3)


def test_a_jump_across_the_level_counts_in_part() -> None:
    shares = shares_below(0.1, np.array([0.0, 0.05, 0.2, 0.0]), np.array([0.08, 0.15, 0.5, 0.4]))
    assert shares.tolist() == pytest.approx([1.0, 0.5, 0.0, 0.25])


@pytest.mark.parametrize("trials", [1, 4, 8, 32])
@pytest.mark.parametrize(("a", "b"), [(2.0, 3.0), (0.4, 0.4), (0.2, 6.0)])
def test_the_right_quantiles_cover_nine_in_ten_whatever_the_number_of_trials(
    trials: int, a: float, b: float
) -> None:
    rng = np.random.default_rng(3)
    right = rng.binomial(trials, rng.beta(a, b, 3000))
    calibration = constant(tuple(beta.ppf(FINE, a, b)), a / (a + b), FINE)
    found = coverage_lower(calibration, prefixes(right, trials))
    assert found.share == pytest.approx(0.9, abs=0.015)
    assert found.error == pytest.approx(0.004, abs=0.004)
    assert (found.units, found.problems, found.asked) == (3000, 3000, 0.9)


def test_plain_comparison_of_measured_rates_counts_the_noise_as_misses() -> None:
    rng = np.random.default_rng(3)
    right = rng.binomial(8, rng.beta(20, 20, 4000))
    found = coverage_lower(constant(tuple(beta.ppf(FINE, 20, 20)), 0.5, FINE), prefixes(right, 8))
    assert found.plain < 0.8
    assert found.share == pytest.approx(0.9, abs=0.012)


def test_with_many_trials_the_share_becomes_the_plain_one() -> None:
    rng = np.random.default_rng(4)
    p = rng.beta(3, 3, 1500)
    tenth = float(np.quantile(p, 0.2))
    found = coverage_lower(constant((tenth, 0.5, 0.9), 0.5), prefixes((p * 1000).round(), 1000))
    assert found.plain == pytest.approx(0.8, abs=0.005)
    assert found.share == pytest.approx(0.8, abs=0.02)


def test_a_bound_that_is_too_high_is_found_out_through_the_noise() -> None:
    rng = np.random.default_rng(3)
    right = rng.binomial(8, rng.beta(2, 3, 4000))
    boastful = constant(tuple(beta.ppf(FINE, 4, 3)), 0.55, FINE)
    assert coverage_lower(boastful, prefixes(right, 8)).share < 0.75


def test_finished_answers_are_counted_together_by_problem_and_tenth() -> None:
    rows = [
        Example((0.5,), 1, True, None, outcome, 1, group) for group in "ab" for outcome in (1.0, 0.0, 1.0)
    ]
    found = units([*rows, Example((0.5,), 1, False, None, 0.25, 4, "a")], [4, 4, 5, 4, 4, 4, 4])
    assert found.right.tolist() == [1, 1, 2, 1]
    assert found.trials.tolist() == [2, 1, 3, 4]
    assert found.groups == ("a", "a", "b", "a")
    assert found.mean(np.array([1.0, 3.0, 5.0, 0.0, 0.0, 3.0, 7.0])).tolist() == [2.0, 5.0, 1.0, 7.0]
    assert found.sizes.tolist() == [2, 1, 3, 1]


def test_a_sure_estimate_with_all_quantiles_equal_is_measured_too() -> None:
    found = coverage_lower(constant((1.0, 1.0, 1.0), 1.0), prefixes(np.full(20, 8), 8))
    misses_predicted = 0.1 * 8 / 9
    assert found.share == pytest.approx(1 - (0.1 - misses_predicted) / (1 - misses_predicted), abs=1e-4)
    assert found.plain == 1.0


def test_the_error_is_clustered_by_problem() -> None:
    right = np.array([0, 0, 8, 8] * 50)
    alone = prefixes(right, 8)
    together = [
        Example(e.scores, 1, False, None, e.success, 8, f"g{i // 100}{e.success}")
        for i, e in enumerate(alone)
    ]
    calibration = constant((0.3, 0.5, 0.7), 0.5)
    assert coverage_lower(calibration, together).error > 5 * coverage_lower(calibration, alone).error


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="no examples"):
        coverage_lower(constant((0.1, 0.5, 0.9), 0.5), [])
