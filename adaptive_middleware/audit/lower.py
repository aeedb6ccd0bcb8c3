"""Coverage of the 10 % lower quantile, of estimates that are already made (each by whichever calibration)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from adaptive_middleware.audit.judged import clustered
from adaptive_middleware.calibration.coverage import shares_below, transforms, units
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.posthoc import LOWER
from adaptive_middleware.types import Estimate

_TENTHS = 10


@dataclass(frozen=True, slots=True)
class LowerCoverage:
    """Share of paths whose success probability lies at or above their 10 % quantile (0.9 when calibrated).

    As `calibration.coverage` measures it, with a 95 % interval over problems.
    """

    share: float
    low: float
    high: float


def lower_coverage(estimates: Sequence[Estimate], examples: Sequence[Example]) -> LowerCoverage | None:
    """Coverage of estimates of at least one example, one of each; None when an estimate has no quantiles."""
    if not all(estimate.quantiles for estimate in estimates):
        return None
    return coverage_of(estimates, examples)


def coverage_of(estimates: Sequence[Estimate], examples: Sequence[Example]) -> LowerCoverage:
    """Coverage of estimates with quantiles at the same levels, of at least one example."""
    found = units(examples, [min(int(e.mean * _TENTHS), _TENTHS - 1) for e in estimates])
    levels = [level for level, _ in estimates[0].quantiles]
    quantiles = found.mean(np.array([[value for _, value in e.quantiles] for e in estimates]))
    missed = shares_below(LOWER, *transforms(quantiles, levels, found.right, found.trials))
    sizes = found.sizes
    share = float(1 - np.average(missed, weights=sizes))
    off = clustered((sizes * (1 - missed - share))[:, None], found.groups)
    problems = len(off)
    error = float(np.sqrt((off**2).sum())) / len(examples)
    reach = float(t.ppf(0.975, problems - 1)) * error if problems > 1 else 1.0
    return LowerCoverage(share, max(share - reach, 0.0), min(share + reach, 1.0))
