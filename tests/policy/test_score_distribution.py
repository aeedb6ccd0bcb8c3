"""The truncated normal and its fits, against scipy; and the stopping rule on top of them."""

from __future__ import annotations

from math import ceil, log

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from adaptive_middleware.belief import uniform
from adaptive_middleware.policy import agreement, samples_to_exceed, score_distribution
from adaptive_middleware.policy.truncated import SIGMA_MAX, SIGMA_MIN, TruncatedNormal, fit_map, fit_mle
from adaptive_middleware.testing import answer
from adaptive_middleware.types import Candidate, Decision, Estimate, State

SCORES = st.lists(st.floats(0.01, 0.99), min_size=2, max_size=12)
PRIOR = TruncatedNormal(0.8, 0.2)


def scipy_law(law: TruncatedNormal) -> stats.rv_continuous:
    return stats.truncnorm(-law.mu / law.sigma, (1 - law.mu) / law.sigma, loc=law.mu, scale=law.sigma)


def log_likelihood(scores: list[float], law: TruncatedNormal) -> float:
    return float(scipy_law(law).logpdf(scores).sum())


def log_posterior(scores: list[float], law: TruncatedNormal, spread: float) -> float:
    before = stats.norm.logpdf([law.mu - PRIOR.mu, law.sigma - PRIOR.sigma], scale=spread).sum()
    return log_likelihood(scores, law) + float(before)


def nearby(law: TruncatedNormal, by: float) -> list[TruncatedNormal]:
    """Other laws all around, the natural parameters or sigma moved."""
    tight = law.sigma**-2
    moved = [
        (law.mu * tight * (1 + by * i) + by * i, tight * (1 + by * j)) for i in (-1, 0, 1) for j in (-1, 0, 1)
    ]
    laws = [TruncatedNormal(slope / bend, bend**-0.5) for slope, bend in moved]
    return [one for one in laws if SIGMA_MIN <= one.sigma <= SIGMA_MAX]


@given(mu=st.floats(-2, 3), sigma=st.floats(SIGMA_MIN, SIGMA_MAX), score=st.floats(0, 1))
def test_the_tail_is_that_of_scipy(mu: float, sigma: float, score: float) -> None:
    law = TruncatedNormal(mu, sigma)
    assert law.above(score) == pytest.approx(float(scipy_law(law).sf(score)), abs=1e-9)


def test_the_tail_of_a_law_far_outside_is_the_exponential_one() -> None:
    """Where mu / sigma^2 = 20 and sigma = 10, the density is nearly exp(20 x)."""
    tail = (np.exp(20) - np.exp(20 * 0.9)) / (np.exp(20) - 1)
    assert TruncatedNormal(2000.0, 10.0).above(0.9) == pytest.approx(tail, rel=1e-3)


@pytest.mark.parametrize(
    ("scores", "bounded"),
    [
        ([0.3, 0.5, 0.7], False),
        ([0.82, 0.91, 0.88, 0.95, 0.79], False),
        ([0.1, 0.12, 0.05, 0.2], False),
        ([0.99, 0.98, 0.7, 0.999, 0.96, 0.9], True),  # piled up at the edge: sigma runs to its bound
        ([0.02, 0.97, 0.5, 0.99, 0.01], True),  # spread wider than any normal
    ],
)
def test_mle_is_the_optimum_that_scipy_finds(scores: list[float], bounded: bool) -> None:
    def loss(natural: list[float]) -> float:
        slope, sigma = natural
        return -log_likelihood(scores, TruncatedNormal(slope * sigma**2, sigma))

    bounds = [(None, None), (SIGMA_MIN, SIGMA_MAX)]
    found = optimize.minimize(
        loss, [1.0, 0.3], bounds=bounds, method="Nelder-Mead", options={"maxiter": 2000}
    )
    fitted = fit_mle(scores)
    assert log_likelihood(scores, fitted) >= -found.fun - 1e-6
    assert (fitted.sigma > 0.99 * SIGMA_MAX) == bounded
    if not bounded:
        expected = (found.x[0] * found.x[1] ** 2, found.x[1])
        assert (fitted.mu, fitted.sigma) == pytest.approx(expected, rel=1e-3)


@given(scores=SCORES)
@example([0.5, 0.5])
@example([0.01, 0.99])
@example([0.989] * 5 + [0.99])
@settings(max_examples=40)
def test_no_law_near_the_mle_is_more_likely(scores: list[float]) -> None:
    fitted = fit_mle(scores)
    best = log_likelihood(scores, fitted)
    for by in (1e-2, 1e-1, 1.0 - 1e-9):
        assert all(log_likelihood(scores, law) <= best + 1e-6 for law in nearby(fitted, by))


@pytest.mark.parametrize("scores", [[0.3, 0.5, 0.7], [0.99], [0.5] * 12, [0.02, 0.97, 0.5, 0.99, 0.01]])
@pytest.mark.parametrize("spread", [0.1, 0.02])
def test_map_is_the_optimum_that_scipy_finds(scores: list[float], spread: float) -> None:
    def loss(point: list[float]) -> float:
        return -log_posterior(scores, TruncatedNormal(*point), spread)

    bounds = [(None, None), (SIGMA_MIN, SIGMA_MAX)]
    starts = ([0.8, 0.2], [float(np.mean(scores)), 0.05])
    found = [optimize.minimize(loss, start, bounds=bounds, method="Nelder-Mead") for start in starts]
    fitted = fit_map(scores, PRIOR, spread)
    assert log_posterior(scores, fitted, spread) >= max(-one.fun for one in found) - 1e-6


def test_map_is_the_prior_without_scores_and_the_mle_with_a_flat_prior() -> None:
    scores = [0.3, 0.5, 0.7, 0.6]
    assert fit_map([], PRIOR, 0.1) == PRIOR
    flat, mle = fit_map(scores, PRIOR, 1e4), fit_mle(scores)
    assert (flat.mu, flat.sigma) == pytest.approx((mle.mu, mle.sigma), abs=1e-5)


@pytest.mark.parametrize("score", [0.0, 0.4, 1.0])
def test_equal_scores_are_a_narrow_law_around_them(score: float) -> None:
    fitted = fit_mle([score] * 4)
    assert fitted.sigma == pytest.approx(SIGMA_MIN)
    assert fitted.above(max(score - 0.05, 0.0)) == pytest.approx(1, abs=1e-5)
    assert fitted.above(min(score + 0.05, 1.0)) == pytest.approx(0, abs=1e-5)


@given(above=st.floats(0, 1), confidence=st.floats(0.01, 0.999))
def test_samples_to_exceed_is_the_smallest_n_of_the_formula(above: float, confidence: float) -> None:
    n = samples_to_exceed(above, confidence)
    below = 1 - min(max(above, 1e-6), 1 - 1e-6)
    assert below**n <= (1 - confidence) * (1 + 1e-9)
    assert n == 1 or below ** (n - 1) > (1 - confidence) * (1 - 1e-9)


def decide(policy: score_distribution, *means: float | None, votes: tuple[int, ...] = ()) -> Decision:
    drawn = tuple(
        Candidate(answer("x"), estimate=None if mean is None else Estimate(mean, mean, mean))
        for mean in means
    )
    return policy(State(drawn, uniform(), 64, votes=votes))


def test_the_first_samples_are_drawn_unseen() -> None:
    assert decide(score_distribution(first=4)).more == 4
    assert decide(score_distribution(first=4), 0.9).more == 3


def test_it_wants_what_the_fitted_law_says_and_at_most_a_window() -> None:
    scores = [0.62, 0.8, 0.71]
    exceed = float(scipy_law(fit_mle(scores)).sf(0.85))
    wanted = ceil(log(0.1) / log(1 - exceed))
    assert wanted > 5
    decision = decide(score_distribution(0.85, 0.9, window=2), *scores)
    assert (decision.more, decision.numbers["wanted"]) == (2, wanted)
    assert f"{wanted} samples for 0.9; 3 scored" in decision.because
    assert decide(score_distribution(0.85, 0.9, window=100), *scores).more == wanted - 3


def test_high_scores_stop_and_low_scores_go_on() -> None:
    assert decide(score_distribution(0.9), 0.97, 0.96, 0.98).more == 0
    assert decide(score_distribution(0.9), 0.2, 0.3, 0.25).more == 1


def test_the_prior_of_map_speaks_while_there_are_few_scores() -> None:
    few = decide(score_distribution(0.9, method="map", first=1), 0.4)
    many = decide(score_distribution(0.9, method="map", first=1), *[0.4, 0.42] * 8)
    assert few.numbers["mu"] > many.numbers["mu"]
    assert few.numbers["wanted"] < many.numbers["wanted"]
    pessimist = score_distribution(0.9, method="map", first=1, prior_mu=0.1, prior_spread=0.01)
    assert decide(pessimist, 0.4).numbers["wanted"] > few.numbers["wanted"]


def test_one_score_is_not_enough_for_mle_and_is_for_map() -> None:
    assert decide(score_distribution(first=1), 0.9).because == "one score alone has no distribution"
    assert decide(score_distribution(first=1), 0.9).more == 1
    assert "wanted" in decide(score_distribution(first=1, method="map"), 0.9).numbers


def test_samples_without_a_score_do_not_count() -> None:
    assert decide(score_distribution(), 0.97, None, 0.96).numbers["scores"] == 2


def test_without_any_score_the_votes_decide() -> None:
    for votes in ((3,), (9,)):
        unscored = State((Candidate(answer("x")),) * 9, uniform(), 64, votes=votes)
        assert score_distribution(confidence=0.97)(unscored) == agreement(0.97)(unscored)


@given(scores=st.lists(st.floats(0, 1), min_size=3, max_size=10), method=st.sampled_from(["mle", "map"]))
@settings(max_examples=60)
def test_every_decision_is_finite_and_within_its_window(scores: list[float], method: str) -> None:
    decision = decide(score_distribution(window=4, method=method), *scores)  # type: ignore[arg-type]
    assert 0 <= decision.more <= 4
    assert all(np.isfinite(value) for value in decision.numbers.values())
    assert 0.01 - 1e-9 <= decision.numbers["sigma"] <= 10 + 1e-9
