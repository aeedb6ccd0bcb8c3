"""Coverage of the lower quantile, when the success probability is only measured as k right of m.

An estimate's quantiles are read as a distribution of the success probability: linear between the quantiles,
from 0 at probability 0 to 1 at probability 1 (as a belief reads them). Mixed with the binomial noise of m trials it predicts k. If the
estimate is right, the predicted distribution function at the measured k, spread over its jump there, is
uniform (the randomised probability integral transform: Smith 1985; Czado, Gneiting and Held 2009). The share
of paths above its 10 % point is then 90 %, whatever m is; as m grows it becomes the plain share
of success probabilities at or above the 10 % quantile. Comparing k/m itself with the quantile
would count the noise as misses, and with few trials no honest quantile could pass.

A finished answer is right or wrong, its quantiles describe the rate among answers with the same estimate;
so k and m count a problem's finished answers whose estimated mean falls into the same tenth.

Needs numpy and scipy, which only fitting and evaluation do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

from adaptive_middleware.calibration.examples import Example, check
from adaptive_middleware.calibration.features import FINISHED
from adaptive_middleware.calibration.posthoc import LOWER, Calibration
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.types import Estimate

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_TENTHS = 10
_NARROW = 1e-6


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often the lower quantile covered.

    `share` accounts for the noise of k of m and should be `asked`; `error` is its standard error, clustered by
    problem. `plain` is the share of measured rates k/m at or above the quantile, noise and all.
    """

    share: float
    error: float
    asked: float
    plain: float
    units: int
    problems: int


@dataclass(frozen=True, slots=True)
class Units:
    """Things with a success probability of their own: `right` of `trials`, and the rows they are made of.

    `owner` gives each row its unit, so that row values can be averaged with `mean`.
    """

    right: Ints
    trials: Ints
    groups: tuple[str, ...]
    owner: Ints

    def mean(self, rows: Floats) -> Floats:
        """Rows averaged over each unit; `rows` is one value or one vector per row."""
        sums = np.zeros((len(self.right), *rows.shape[1:]))
        np.add.at(sums, self.owner, rows)
        counts = np.bincount(self.owner, minlength=len(self.right))
        return sums / counts.reshape(-1, *[1] * (rows.ndim - 1))

    @property
    def sizes(self) -> Ints:
        """How many rows each unit is made of."""
        return np.bincount(self.owner, minlength=len(self.right))


def units(examples: Sequence[Example], strata: Sequence[int]) -> Units:
    """Unfinished paths one by one; finished answers together by problem and stratum."""
    number: defaultdict[tuple[object, ...], int] = defaultdict(lambda: len(number))
    owner = np.empty(len(examples), dtype=np.int64)
    for i, (example, stratum) in enumerate(zip(examples, strata, strict=True)):
        owner[i] = number[(example.group, stratum) if example.kind == FINISHED else (i,)]
    right, trials = np.zeros(len(number), dtype=np.int64), np.zeros(len(number), dtype=np.int64)
    np.add.at(right, owner, [example.right for example in examples])
    np.add.at(trials, owner, [example.trials for example in examples])
    groups = {int(unit): example.group for unit, example in zip(owner, examples, strict=True)}
    return Units(right, trials, tuple(groups[unit] for unit in range(len(number))), owner)


def transforms(
    quantiles: Floats, levels: Sequence[float], right: Ints, trials: Ints
) -> tuple[Floats, Floats]:
    """Predicted P(K < k) and P(K <= k) for each unit; `quantiles` has one row per unit, one column per level.

    The mixture is exact: over a stretch [a, b] of probability the mean of P(K = i) is
    [I_b(i+1, m-i+1) - I_a(i+1, m-i+1)] / ((m+1)(b-a)), with I the regularised incomplete beta function.
    """
    count = len(right)
    edges = np.column_stack([np.zeros(count), quantiles, np.ones(count)])
    edges = np.maximum.accumulate(edges + _NARROW * np.arange(edges.shape[1]), axis=1)
    edges /= edges[:, -1:]
    masses = np.diff([0.0, *levels, 1.0]) / np.diff(edges, axis=1)
    below, upto = np.zeros(count), np.zeros(count)
    for k in range(int(trials.max()) + 1):
        used = k <= right
        m, e = trials[used][:, None], edges[used]
        mass = (np.diff(betainc(k + 1, m - k + 1, e), axis=1) / (m + 1) * masses[used]).sum(axis=1)
        upto[used] += mass
        below[used] += np.where(k < right[used], mass, 0.0)
    return below, np.minimum(upto, 1.0)


def shares_below(level: float, below: Floats, upto: Floats) -> Floats:
    """How much of each unit's spread transform lies below `level`: 0, 1, or a part of the jump."""
    return np.clip((level - below) / np.maximum(upto - below, 1e-12), 0.0, 1.0)


def coverage_lower(calibration: Calibration, examples: Sequence[Example]) -> Coverage:
    """Coverage of the 10 % lower quantile on examples that took no part in the fit, each path counted once.

    Raises `CalibrationError` when there are no examples, or one cannot be used.
    """
    if not examples:
        message = "no examples: coverage needs held-out paths with measured success"
        raise CalibrationError(message)
    check(examples)
    return coverage_of(
        [calibration.estimate(e.scores, e.steps, e.done, e.logprobs, e.tokens) for e in examples], examples
    )


def coverage_of(estimates: Sequence[Estimate], examples: Sequence[Example]) -> Coverage:
    """Coverage of the 10 % quantile of given estimates, one per example, all with the same levels."""
    found = units(examples, [min(int(e.mean * _TENTHS), _TENTHS - 1) for e in estimates])
    levels = [level for level, _ in estimates[0].quantiles]
    quantiles = found.mean(np.array([[value for _, value in e.quantiles] for e in estimates]))
    missed = shares_below(LOWER, *transforms(quantiles, levels, found.right, found.trials))
    sizes = found.sizes
    share = float(1 - np.average(missed, weights=sizes))
    by_problem: defaultdict[str, float] = defaultdict(float)
    for group, size, miss in zip(found.groups, sizes, missed, strict=True):
        by_problem[group] += float(size) * (1 - float(miss) - share)
    plain = np.average(found.right / found.trials >= quantiles[:, levels.index(LOWER)], weights=sizes)
    error = sqrt(sum(value**2 for value in by_problem.values())) / len(examples)
    return Coverage(share, error, 1 - LOWER, float(plain), len(found.right), len(by_problem))
