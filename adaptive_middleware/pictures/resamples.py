"""Bootstrap over problems: 95 % intervals of means, where the rows of one problem stay together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
RESAMPLES = 2000
FEWEST = 5
"""Fewer problems than this give no interval: resampling a handful would show certainty that is not there."""


@dataclass(frozen=True, slots=True)
class Resamples:
    """Bootstrap resamples of problems: `owner` gives each row its problem, `times` how often each is drawn.

    `times` has one row per resample and one column per problem; each row sums to the number of problems.
    """

    owner: Ints
    times: Floats

    def interval(self, values: Floats, weights: Floats) -> tuple[float, float]:
        """Percentile interval of the weighted mean of `values`, one per row; (NaN, NaN) from too few problems.

        Resamples that hold no weight at all say nothing about the mean and are left out.
        """
        problems = self.times.shape[1]
        below = np.bincount(self.owner, weights=weights, minlength=problems)
        above = np.bincount(self.owner, weights=weights * values, minlength=problems)
        if np.count_nonzero(below) < FEWEST:
            return float("nan"), float("nan")
        sizes, sums = self.times @ below, self.times @ above
        low, high = np.percentile(sums[sizes > 0] / sizes[sizes > 0], [2.5, 97.5])
        return float(low), float(high)


def resampled(groups: Sequence[str], seed: int = 0) -> Resamples:
    """2000 resamples of the problems that `groups` names, one name per row; the same seed gives the same ones."""
    names, owner = np.unique(np.array(groups), return_inverse=True)
    count = len(names)
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return Resamples(owner.astype(np.int64), times.astype(np.float64))
