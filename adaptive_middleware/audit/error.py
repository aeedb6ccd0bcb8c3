"""How far given probabilities are from outcomes: calibration error and bias, with intervals by problem."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.stats import t

from adaptive_middleware.audit.judged import Floats, Ints, Judged, clustered, resamples
from adaptive_middleware.calibration.metrics import ece_equal_width

_BINS = 10
_DRAWS = 500
_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Miscalibration:
    """Expected calibration error over ten equally wide bins, and what of it may be chance.

    `low` and `high` are a 95 % interval. `by_chance` is the probability that calibrated answers show an error as
    large as this one: the larger of that of independent answers, and of answers that err together within a problem
    (wild bootstrap, Wu 1986).
    """

    value: float
    low: float
    high: float
    by_chance: float


@dataclass(frozen=True, slots=True)
class Bias:
    """Calibration in the large: mean probability minus share right, and a 95 % interval of it."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


def calibration_error(judged: Judged, seed: int = 0) -> Miscalibration:
    """The calibration error of at least one judged answer.

    The interval is a bootstrap over problems: the upper end is that of the percentile interval, the lower end is as far
    below the value (the basic interval's). An absolute error is biased upwards, and resampling adds that bias again,
    so the percentile interval's own lower end would call chance an error.
    """
    value = ece_equal_width(judged.p, judged.right, _BINS)
    rng = np.random.default_rng(seed)
    inside = np.eye(_BINS)[_bins(judged)]
    sums = clustered(inside * judged.residuals[:, None], judged.problem)
    sizes = clustered(np.ones((judged.n, 1)), judged.problem)[:, 0]
    drawn = np.abs(resamples(sums, rng, sizes)).sum(axis=1)
    reach = max(float(np.quantile(drawn, 1 - _TAIL)) - value, 0.0)
    by_chance = _by_chance(judged, value, sums, rng)
    return Miscalibration(value, max(value - reach, 0.0), min(value + reach, 1.0), by_chance)


def bias(judged: Judged) -> Bias:
    """Mean probability minus share right of at least one answer.

    Student's t over problems; the standard error is never below that of independent answers that are right with
    their given probability, so that outcomes that happen to be all alike do not pass for certainty.
    """
    problems, given = judged.problems, np.array(judged.p)
    value = float(judged.residuals.mean())
    if problems < 2:
        return Bias(value, -1.0, 1.0)
    off = clustered((judged.residuals - value)[:, None], judged.problem)
    spread = sqrt(float((off**2).sum()) * problems / (problems - 1))
    error = max(spread, sqrt(float((given * (1 - given)).sum()))) / judged.n
    reach = float(t.ppf(1 - _TAIL, problems - 1)) * error
    return Bias(value, max(value - reach, -1.0), min(value + reach, 1.0))


def _by_chance(judged: Judged, value: float, sums: Floats, rng: np.random.Generator) -> float:
    """The larger of two p-values: of independent outcomes, and of errors whose sign is that of their problem."""
    given, bins = np.array(judged.p), _bins(judged)
    independent = clustered_too = 1
    for _ in range(_DRAWS):
        off = given - (rng.random(judged.n) < given)
        drawn = np.abs(np.bincount(bins, off, _BINS)).sum() / judged.n
        turned = np.abs(rng.choice((-1.0, 1.0), len(sums)) @ sums).sum() / judged.n
        independent += bool(drawn >= value - 1e-12)
        clustered_too += bool(turned >= value - 1e-12)
    return max(independent, clustered_too) / (_DRAWS + 1)


def _bins(judged: Judged) -> Ints:
    return np.searchsorted(np.arange(1, _BINS) / _BINS, np.array(judged.p), side="left")
