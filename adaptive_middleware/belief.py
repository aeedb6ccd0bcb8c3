"""Beliefs over p, the chance that one more independent sample succeeds, and how evidence moves them.

A belief is a discrete distribution on a fixed grid, so every update is exact on that grid:
weights times likelihood, normalised (Bayes' rule). Grid cells are narrow near 0 and 1 (equal steps of the
arcsine transform), where giving up and stopping are decided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import exp, fsum, log, log1p, pi, sin

from adaptive_middleware.types import Belief, Estimate

_CELLS = 64
_EDGES = tuple(sin(pi * i / (2 * _CELLS)) ** 2 for i in range(_CELLS + 1))
GRID = tuple((low + high) / 2 for low, high in pairwise(_EDGES))
_FLOOR = 1e-6


def uniform() -> Belief:
    """Know nothing: every success chance is equally likely.

    >>> round(uniform().mean, 6)
    0.5
    """
    return Belief(GRID, tuple(high - low for low, high in pairwise(_EDGES)))


def from_estimate(estimate: Estimate) -> Belief:
    """The prior that a calibrated estimate of the question stands for.

    The quantiles are read as a distribution function, linear between them and reaching 0 and 1 at the
    ends of the unit interval; without quantiles, `lower` and `upper` stand for the 10 % and 90 % ones.

    >>> prior = from_estimate(Estimate(0.5, 0.2, 0.8, ((0.1, 0.2), (0.5, 0.5), (0.9, 0.8))))
    >>> round(quantile(prior, 0.5), 1)
    0.5
    """
    quantiles = estimate.quantiles or ((0.1, estimate.lower), (0.9, estimate.upper))
    points = [(0.0, 0.0), *((value, level) for level, value in quantiles), (1.0, 1.0)]
    below = [0.0, *(_distribution(points, edge) for edge in _EDGES[1:-1]), 1.0]
    uncertain = _FLOOR / len(GRID)
    return _normalised(GRID, [high - low + uncertain for low, high in pairwise(below)])


def from_population(
    counts: Sequence[tuple[int, int]], likelihood: Callable[[float], float] = lambda _: 1.0
) -> Belief:
    """The prior that earlier calls stand for: how their success chances were spread, times what is known of this one.

    Each earlier call gives (right, samples) with 0 <= right <= samples, and enters as the posterior of its own p under a
    uniform prior: many samples pin it down, few leave it wide. `likelihood(p)` >= 0 says how well what is
    known of this call, its question's score for example, fits a call of success chance p. Without calls the prior is
    uniform.

    >>> round(from_population([(0, 10), (9, 10)]).mean, 3)  # mean of 1/12 and 10/12
    0.458
    >>> round(from_population([(0, 10), (9, 10)], lambda p: p).mean, 3)
    0.783
    """
    weights = [0.0] * len(GRID) if counts else list(uniform().weights)
    for right, samples in counts:
        own = _posterior(right, samples)
        weights = [total + weight for total, weight in zip(weights, own, strict=True)]
    return _normalised(GRID, [weight * likelihood(p) for p, weight in zip(GRID, weights, strict=True)])


def after_verdict(belief: Belief, passed: bool) -> Belief:
    """Bayes' rule for one verified sample: likelihood p when it passed, 1 - p when it failed.

    On the grid this is the Beta-Bernoulli update: uniform prior and k passes of n give mean (k+1)/(n+2).

    >>> round(after_verdict(uniform(), True).mean, 3)
    0.667
    """
    return _updated(belief, lambda p: p if passed else 1 - p)


def after_estimate(belief: Belief, estimate: Estimate, base_rate: float) -> Belief:
    """Bayes' rule for one sample whose success is known only as a calibrated probability.

    A probability c, where the base rate is b, is the likelihood ratio LR = [c/(1-c)] / [b/(1-b)] of
    right against wrong, so the likelihood of p is p * LR + 1 - p. At c = 1 this is `after_verdict`.
    """
    ratio = _odds(estimate.mean) / _odds(base_rate)
    return _updated(belief, lambda p: p * ratio + 1 - p)


def quantile(belief: Belief, level: float) -> float:
    """Smallest grid value whose distribution function reaches `level` (in (0, 1))."""
    total = 0.0
    for p, weight in zip(belief.support, belief.weights, strict=True):
        total += weight
        if total >= level - 1e-12:
            return p
    return belief.support[-1]


def _posterior(right: int, samples: int) -> tuple[float, ...]:
    logs = [right * log(p) + (samples - right) * log1p(-p) for p in GRID]
    top = max(logs)
    pairs = zip(uniform().weights, logs, strict=True)
    return _normalised(GRID, [width * exp(value - top) for width, value in pairs]).weights


def _updated(belief: Belief, likelihood: Callable[[float], float]) -> Belief:
    pairs = zip(belief.support, belief.weights, strict=True)
    return _normalised(belief.support, [weight * likelihood(p) for p, weight in pairs])


def _normalised(support: tuple[float, ...], weights: Sequence[float]) -> Belief:
    total = fsum(weights)
    return Belief(support, tuple(weight / total for weight in weights))


def _odds(probability: float) -> float:
    clamped = min(max(probability, _FLOOR), 1 - _FLOOR)
    return clamped / (1 - clamped)


def _distribution(points: Sequence[tuple[float, float]], value: float) -> float:
    for (x0, y0), (x1, y1) in pairwise(points):
        if value < x1:
            return y0 if x1 == x0 else y0 + (y1 - y0) * (value - x0) / (x1 - x0)
    return 1.0
