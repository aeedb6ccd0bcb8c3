"""Drift of calibration: given probabilities beside what came of them, in windows of time with equally many judged calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

from adaptive_middleware.view.figures import Judged

WINDOWS, LEAST = 12, 10
"""The most windows, and the fewest judged calls of one."""
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Window:
    """Judged calls that follow each other: their mean probability, and how many of the `n` were right.

    `low` and `high` are Wilson's 95 % interval of the share of right answers; times are seconds since 1970.
    """

    since: float
    until: float
    p: float
    right: int
    n: int

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return wilson(self.right, self.n)[0]

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return wilson(self.right, self.n)[1]

    @property
    def off(self) -> bool:
        """Whether the mean probability lies outside of the interval."""
        return not self.low <= self.p <= self.high


def windows(judged: Sequence[Judged]) -> list[Window]:
    """The windows of judged calls (the newest first), the oldest window first; none under twice `LEAST` calls."""
    count = min(WINDOWS, len(judged) // LEAST)
    if count < 2:
        return []
    old_first = judged[::-1]
    edges = [len(judged) * at // count for at in range(count + 1)]
    return [_window(old_first[low:high]) for low, high in pairwise(edges)]


def wilson(right: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    >>> [round(each, 3) for each in wilson(10, 10)]
    [0.722, 1.0]
    """
    share, square = right / n, _Z * _Z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = _Z / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _window(of: Sequence[Judged]) -> Window:
    mean = sum(one.p for one in of) / len(of)
    return Window(of[0].at, of[-1].at, mean, sum(one.correct for one in of), len(of))
