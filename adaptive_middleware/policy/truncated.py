"""The normal distribution truncated to [0, 1]: its tail, and its fit to scores by MLE or MAP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, exp, fsum, log, pi, sqrt
from typing import NamedTuple

SIGMA_MIN, SIGMA_MAX = 0.01, 10.0
_EDGE = 1e-3  # scores of exactly 0 and 1 would pull mu to infinity
_NODES = 24
_DEPTH = 30.0  # the density is integrated down to exp(-30) of its peak


@dataclass(frozen=True, slots=True)
class TruncatedNormal:
    """N(mu, sigma^2) restricted to [0, 1]; `mu` may lie outside, `sigma` is in [0.01, 10].

    At sigma = 10 the density on [0, 1] is that of a truncated exponential distribution to within 0.2 %.
    """

    mu: float
    sigma: float

    def above(self, score: float) -> float:
        """Probability of more than `score` (in [0, 1]).

        >>> round(TruncatedNormal(0.5, 0.2).above(0.5), 12), round(TruncatedNormal(0.8, 0.2).above(0.95), 4)
        (0.5, 0.0808)
        """
        low, high = _window(self.mu, self.sigma)
        if not low < score < high:
            return float(score <= low)
        upper, lower = (fsum(self._masses(*part)) for part in ((score, high), (low, score)))
        return upper / (lower + upper)

    def _masses(self, low: float, high: float) -> list[float]:
        peak = min(max(self.mu, 0.0), 1.0)
        width, bend = high - low, -0.5 / self.sigma**2
        points = (low + width * at for at, _ in _RULE)
        densities = [exp(bend * (x - peak) * (x + peak - 2 * self.mu)) for x in points]
        return [weight * width * density for (_, weight), density in zip(_RULE, densities, strict=True)]


def fit_mle(scores: Sequence[float]) -> TruncatedNormal:
    """The maximum likelihood fit to `scores` (in [0, 1], at least one) over all mu and sigma in [0.01, 10].

    In the natural parameters mu / sigma^2 and 1 / sigma^2 the log likelihood is concave, so Newton's method
    finds the one maximum. Scores are moved to at least 0.001 from 0 and 1. Equal scores get sigma = 0.01.

    >>> fitted = fit_mle([0.3, 0.5, 0.7])
    >>> round(fitted.mu, 3), round(fitted.sigma, 3)
    (0.5, 0.165)
    """
    mean, square = _means(scores)
    bend = min(max(1 / max(square - mean * mean, SIGMA_MIN**2), SIGMA_MAX**-2), SIGMA_MIN**-2)

    def at(slope: float, bend: float) -> _Local:
        fit = _moments(slope / bend, bend**-0.5)
        value = _log_density(mean, square, slope / bend, bend**-0.5) - fit.log_mass
        uphill = (mean - fit.mean, (fit.square - square) / 2)
        return _Local(value, *uphill, fit.var, -fit.mixed / 2, fit.var_square / 4)

    slope, bend = _climb(at, (mean * bend, bend), (SIGMA_MAX**-2, SIGMA_MIN**-2))
    return TruncatedNormal(slope / bend, bend**-0.5)


def fit_map(scores: Sequence[float], prior: TruncatedNormal, spread: float) -> TruncatedNormal:
    """The most probable fit when mu and sigma are N(prior.mu, spread^2) and N(prior.sigma, spread^2) before.

    Without scores it is the prior itself. Fisher scoring from the prior; sigma stays in [0.01, 10].

    >>> fitted = fit_map([0.1], TruncatedNormal(0.8, 0.2), 0.1)
    >>> round(fitted.mu, 3), round(fitted.sigma, 3)
    (0.745, 0.314)
    """
    if not scores:
        return prior
    (mean, square), n = _means(scores), len(scores)

    def at(mu: float, sigma: float) -> _Local:
        fit, tight = _moments(mu, sigma), sigma**-2
        off_mu, off_sigma = (mu - prior.mu) / spread, (sigma - prior.sigma) / spread
        value = _log_density(mean, square, mu, sigma) - fit.log_mass
        by_slope, by_bend = mean - fit.mean, (fit.square - square) / 2
        turn = -2 * tight / sigma  # d(1 / sigma^2) / d sigma
        mixed = mu * fit.var - fit.mixed / 2
        var_sigma = mu * mu * fit.var - mu * fit.mixed + fit.var_square / 4
        return _Local(
            n * value - (off_mu**2 + off_sigma**2) / 2,
            n * tight * by_slope - off_mu / spread,
            n * turn * (mu * by_slope + by_bend) - off_sigma / spread,
            n * tight**2 * fit.var + spread**-2,
            n * tight * turn * mixed,
            n * turn**2 * var_sigma + spread**-2,
        )

    return TruncatedNormal(*_climb(at, (prior.mu, prior.sigma), (SIGMA_MIN, SIGMA_MAX)))


class _Moments(NamedTuple):
    log_mass: float
    mean: float
    square: float
    var: float
    mixed: float
    var_square: float


class _Local(NamedTuple):
    """An objective at one point: value, gradient, and information (the negative Hessian, or its mean)."""

    value: float
    uphill_a: float
    uphill_b: float
    info_a: float
    info_ab: float
    info_b: float


def _means(scores: Sequence[float]) -> tuple[float, float]:
    inside = [min(max(score, _EDGE), 1 - _EDGE) for score in scores]
    return fsum(inside) / len(inside), fsum(x * x for x in inside) / len(inside)


def _window(mu: float, sigma: float) -> tuple[float, float]:
    """Where the density is above exp(-30) of its peak."""
    peak = min(max(mu, 0.0), 1.0)
    away, fall = abs(peak - mu), 2 * _DEPTH * sigma * sigma
    reach = fall / (sqrt(away * away + fall) + away)
    return max(peak - reach, 0.0), min(peak + reach, 1.0)


def _log_density(mean: float, square: float, mu: float, sigma: float) -> float:
    """Mean log density of data with these moments, before normalisation, relative to the peak."""
    peak = min(max(mu, 0.0), 1.0)
    return -0.5 / sigma**2 * (square - peak * peak - 2 * mu * (mean - peak))


def _moments(mu: float, sigma: float) -> _Moments:
    """Log of the mass relative to the peak, then E x, E x^2, Var x, Cov(x, x^2), Var x^2."""
    low, high = _window(mu, sigma)
    masses = TruncatedNormal(mu, sigma)._masses(low, high)  # noqa: SLF001 - our own
    total = fsum(masses)
    points = [low + (high - low) * at for at, _ in _RULE]
    weighed = [(mass / total, x) for mass, x in zip(masses, points, strict=True)]
    mean, square = (fsum(weight * x**k for weight, x in weighed) for k in (1, 2))
    apart = [(weight, x - mean, x * x - square) for weight, x in weighed]
    var = fsum(weight * d * d for weight, d, _ in apart)
    mixed = fsum(weight * d * e for weight, d, e in apart)
    return _Moments(log(total), mean, square, var, mixed, fsum(weight * e * e for weight, _, e in apart))


def _climb(
    at: Callable[[float, float], _Local], start: tuple[float, float], within: tuple[float, float]
) -> tuple[float, float]:
    """The maximum of a function of (a, b) by damped Newton steps, b kept `within` its bounds."""
    point, here = start, at(*start)
    for _ in range(100):
        step = _step(here, point[1], within)
        rise = step[0] * here.uphill_a + step[1] * here.uphill_b
        for halvings in range(30 if rise > 1e-13 else 0):
            scale = 0.5**halvings
            ahead = (
                point[0] + scale * step[0],
                min(max(point[1] + scale * step[1], within[0]), within[1]),
            )
            there = at(*ahead)
            if there.value >= here.value + rise * scale / 4:
                point, here = ahead, there
                break
        else:
            return point  # no step that floating point can tell leads higher
    return point


def _step(here: _Local, b: float, within: tuple[float, float]) -> tuple[float, float]:
    """Newton's step, cut where b meets a bound; along a alone when b stands there and would leave."""
    det = here.info_a * here.info_b - here.info_ab**2
    step_a = (here.info_b * here.uphill_a - here.info_ab * here.uphill_b) / det
    step_b = (here.info_a * here.uphill_b - here.info_ab * here.uphill_a) / det
    room = (within[1] if step_b > 0 else within[0]) - b
    if abs(step_b) <= abs(room):
        return step_a, step_b
    if abs(room) <= 1e-9 * b:
        return here.uphill_a / here.info_a, 0.0
    return step_a * room / step_b, room


def _gauss_legendre(n: int) -> tuple[tuple[float, float], ...]:
    """Nodes in (0, 1) and weights that integrate polynomials of degree 2n - 1 exactly (Newton on P_n)."""
    rule = []
    for k in range(n):
        x, slope = cos(pi * (k + 0.75) / (n + 0.5)), 1.0
        for _ in range(6):
            below, value = 1.0, x
            for j in range(2, n + 1):
                below, value = value, ((2 * j - 1) * x * value - (j - 1) * below) / j
            slope = n * (x * value - below) / (x * x - 1)
            x -= value / slope
        rule.append(((1 - x) / 2, 1 / ((1 - x * x) * slope * slope)))
    return tuple(rule)


_RULE = _gauss_legendre(_NODES)
