"""Means over calls with intervals that know that calls with the same question are not independent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its standard error, over `groups` independent groups."""

    value: float
    error: float
    groups: int

    @property
    def ci95(self) -> tuple[float, float]:
        """The normal 95 % interval; the mean itself where there is one group only."""
        return self.value - _Z * self.error, self.value + _Z * self.error


def mean(groups: Sequence[str], values: Sequence[float]) -> Mean:
    """The mean of `values`, whose i-th belongs to `groups[i]`, with the ratio estimator's error by group.

    The error is sqrt(G / (G - 1) * sum over groups of (sum of values - mean * count)^2) / n (Cochran, Sampling Techniques, 6.3);
    with one value per group it is the usual standard error of the mean.

    >>> mean(["a", "b", "c"], [1.0, 2.0, 3.0])
    Mean(value=2.0, error=0.5773502691896257, groups=3)
    """
    if not values:
        return Mean(0.0, 0.0, 0)
    value = sum(values) / len(values)
    off: defaultdict[str, float] = defaultdict(float)
    for group, each in zip(groups, values, strict=True):
        off[group] += each - value
    count = len(off)
    spread = sum(each * each for each in off.values()) * count / max(count - 1, 1)
    return Mean(value, sqrt(spread) / len(values), count)


def bounds(share: Mean) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, for as many independent values as its error stands for.

    >>> [round(each, 3) for each in bounds(Mean(1.0, 0.0, 10))]
    [0.722, 1.0]
    """
    own = share.value * (1 - share.value)
    n = min(own / share.error**2, share.groups) if share.error > 0 and own > 0 else share.groups
    square = _Z * _Z
    middle = (share.value + square / (2 * n)) / (1 + square / n)
    half = _Z / (1 + square / n) * sqrt(own / n + square / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
