from __future__ import annotations

from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from adaptive_middleware.belief import (
    GRID,
    after_estimate,
    after_verdict,
    from_estimate,
    from_population,
    quantile,
    uniform,
)
from adaptive_middleware.types import Belief, Estimate

PROBABILITY = st.floats(0, 1)


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    low, mid, high = sorted(draw(st.tuples(PROBABILITY, PROBABILITY, PROBABILITY)))
    return Estimate(mid, low, high, ((0.1, low), (0.5, mid), (0.9, high)))


def test_the_grid_ascends_inside_the_unit_interval() -> None:
    assert list(GRID) == sorted(set(GRID))
    assert 0 < GRID[0] < 0.001
    assert 0.999 < GRID[-1] < 1


@given(passes=st.integers(0, 20), fails=st.integers(0, 20))
def test_verdicts_give_the_beta_posterior(passes: int, fails: int) -> None:
    belief = uniform()
    for _ in range(passes):
        belief = after_verdict(belief, True)
    for _ in range(fails):
        belief = after_verdict(belief, False)
    exact = stats.beta(passes + 1, fails + 1)
    assert belief.mean == pytest.approx(exact.mean(), abs=2e-3)
    assert quantile(belief, 0.5) == pytest.approx(exact.median(), abs=0.03)


@given(estimate=estimates(), passed=st.booleans())
def test_a_certain_estimate_moves_a_belief_as_a_verdict_does(estimate: Estimate, passed: bool) -> None:
    prior = from_estimate(estimate)
    sure = Estimate(float(passed), float(passed), float(passed))
    assert after_estimate(prior, sure, 0.5).mean == pytest.approx(after_verdict(prior, passed).mean, abs=1e-3)


@given(estimate=estimates(), base=st.floats(0.01, 0.99))
def test_an_estimate_at_the_base_rate_teaches_nothing(estimate: Estimate, base: float) -> None:
    prior = from_estimate(estimate)
    same = after_estimate(prior, Estimate(base, base, base), base)
    assert same.weights == pytest.approx(prior.weights, abs=1e-9)


@given(estimate=estimates(), low=PROBABILITY, high=PROBABILITY)
def test_a_better_sample_never_lowers_the_belief(estimate: Estimate, low: float, high: float) -> None:
    prior = from_estimate(estimate)
    worse, better = sorted((low, high))
    means = [after_estimate(prior, Estimate(c, c, c), 0.5).mean for c in (worse, better)]
    assert means[0] <= means[1] + 1e-9


@given(estimate=estimates())
def test_a_belief_is_a_distribution(estimate: Estimate) -> None:
    for belief in (uniform(), from_estimate(estimate), after_verdict(from_estimate(estimate), True)):
        assert fsum(belief.weights) == pytest.approx(1.0)
        assert min(belief.weights) >= 0.0


@given(estimate=estimates())
def test_the_prior_keeps_the_calibrated_quantiles_to_a_grid_cell(estimate: Estimate) -> None:
    prior = from_estimate(estimate)
    for level, value in estimate.quantiles:
        below = fsum(w for p, w in zip(prior.support, prior.weights, strict=True) if p < value - 0.03)
        above = fsum(w for p, w in zip(prior.support, prior.weights, strict=True) if p > value + 0.03)
        assert below <= level + 1e-3
        assert above <= 1 - level + 1e-3


def test_without_quantiles_the_bounds_stand_for_the_outer_ones() -> None:
    bounds = from_estimate(Estimate(0.5, 0.3, 0.7))
    assert bounds == from_estimate(Estimate(0.5, 0.3, 0.7, ((0.1, 0.3), (0.9, 0.7))))


def test_the_last_grid_point_answers_a_level_lost_to_rounding() -> None:
    assert quantile(Belief((0.2, 0.8), (0.4, 0.5)), 0.99) == 0.8


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_population_of_one_call_is_its_posterior(right: int, wrong: int) -> None:
    belief = uniform()
    for passed in [True] * right + [False] * wrong:
        belief = after_verdict(belief, passed)
    assert from_population([(right, right + wrong)]).weights == pytest.approx(belief.weights, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(9, 30)), min_size=1, max_size=6))
def test_a_population_is_the_mixture_of_its_calls(counts: list[tuple[int, int]]) -> None:
    means = [from_population([one]).mean for one in counts]
    assert from_population(counts).mean == pytest.approx(sum(means) / len(means))


def test_without_earlier_calls_the_prior_is_the_likelihood_alone() -> None:
    assert from_population([]) == uniform()
    assert from_population([], lambda p: p).weights == pytest.approx(
        after_verdict(uniform(), passed=True).weights
    )


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(9, 30)), min_size=1, max_size=6), st.floats(0.01, 5))
def test_the_likelihood_of_a_score_enters_by_bayes_rule(counts: list[tuple[int, int]], slope: float) -> None:
    prior = from_population(counts)
    known = from_population(counts, lambda p: p**slope)
    raw = [weight * p**slope for p, weight in zip(prior.support, prior.weights, strict=True)]
    assert known.weights == pytest.approx([weight / sum(raw) for weight in raw])
