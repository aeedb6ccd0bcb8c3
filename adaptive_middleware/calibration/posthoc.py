"""The fitted calibrator: monotone, non-crossing quantile maps from raw step scores to an `Estimate`.

Applied in pure Python; it is data, and `calibration.fit` makes it. For a path, a map forms one number, the
index (bias + weights * features), and reads the mean and each quantile off piecewise-linear curves that all
share their knots. All curves rise with the index, and at every knot the quantiles ascend with their level,
so they never cross anywhere. No weight of a score or of a log-probability is negative: a higher score never lowers an
estimate. The weight of the length may have either sign.

What the numbers mean depends on the kind of path:

- `question` and `partial`: the path has a success probability of its own (continue it many times and count).
  The quantiles describe how that probability spreads among prefixes with the same index.
- `finished`: an answer is right or wrong, so a quantile of its own probability would be 0 or 1. The quantiles
  describe instead how the *rate* of right answers at this index spreads among problems: `lower` is a rate that
  nine problems in ten reach.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from adaptive_middleware.calibration.features import (
    ANY,
    LENGTH,
    LOGPROBS,
    carried,
    features,
    kind_of,
    map_name,
    subsets,
)
from adaptive_middleware.logprobs import summary
from adaptive_middleware.types import Estimate, Path, StepScores

LOWER, UPPER = 0.1, 0.9


@dataclass(frozen=True, slots=True)
class QuantileMap:
    """Index of a path, and the curves over it: `means` and one row of `quantiles` per level.

    `knots` ascend strictly; every row is as long as `knots`, rises, and lies in [0, 1].
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    bias: float
    knots: tuple[float, ...]
    means: tuple[float, ...]
    quantiles: tuple[tuple[float, ...], ...]

    def index(self, values: Mapping[str, float]) -> float:
        """Bias plus weighted features."""
        return self.bias + fsum(
            weight * values[name] for name, weight in zip(self.names, self.weights, strict=True)
        )

    def at(self, index: float) -> tuple[float, tuple[float, ...]]:
        """(mean, quantiles) at an index; constant beyond the outermost knots."""
        if index <= self.knots[0]:
            low, share = 0, 0.0
        elif index >= self.knots[-1]:
            low, share = len(self.knots) - 1, 0.0
        else:
            low = bisect_right(self.knots, index) - 1
            share = (index - self.knots[low]) / (self.knots[low + 1] - self.knots[low])
        return _between(self.means, low, share), tuple(_between(row, low, share) for row in self.quantiles)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibrator: path and raw step scores in, honest probability out.

    `maps` holds one map per kind of path (`question`, `partial`, `finished`) that had enough data, `any` for the
    others, and each again with `+logprobs`, `+length` or both where these were recorded and held-out problems were
    predicted better with them. A path gets the map that reads most of what it carries. `levels` ascend and contain 0.1 and 0.9, the levels of `lower` and `upper`; at every index lower <= mean <= upper.

    Raises `CalibrationError` for a path without scores, or with a NaN or out-of-range one.
    """

    levels: tuple[float, ...]
    maps: Mapping[str, QuantileMap]

    def __call__(self, path: Path, scores: StepScores) -> Estimate:
        """Honest probability that `path` ends right; `scores` may be left-truncated (`first` > 0)."""
        tokens = path.usage.completion_tokens
        return self.estimate(scores.values, len(path.steps), path.done, path.logprobs, tokens)

    def estimate(
        self,
        scores: Sequence[float],
        steps: int,
        done: bool,
        logprobs: Sequence[float] | None = None,
        tokens: int | None = None,
    ) -> Estimate:
        """The estimate from the bare numbers: what `__call__` takes from path and scores.

        `tokens` are the completion tokens so far; None or 0 where nobody counted.
        """
        groups = carried(steps, logprobs, tokens)
        chosen = self.maps[self.map_for(kind_of(steps, done), LOGPROBS in groups, LENGTH in groups)]
        mean, values = chosen.at(chosen.index(features(scores, steps, done, summary(logprobs), tokens)))
        quantiles = tuple(zip(self.levels, values, strict=True))
        return Estimate(mean, values[self.levels.index(LOWER)], values[self.levels.index(UPPER)], quantiles)

    def map_for(self, kind: str, logprobs: bool, length: bool = False) -> str:
        """Name of the map that serves a kind of path, the most specific one there is."""
        groups = [group for group, told in ((LOGPROBS, logprobs), (LENGTH, length)) if told]
        names = (map_name(one, chosen) for one in (kind, ANY) for chosen in subsets(groups))
        return next(name for name in names if name in self.maps)


def _between(row: Sequence[float], low: int, share: float) -> float:
    if share == 0.0:
        return row[low]
    return row[low] + share * (row[low + 1] - row[low])
