"""From the outputs of a quantile head to probabilities: three shapes, and their correction by kind of path.

`independent` (Park et al. 2025): one sigmoid per level; nothing keeps them in order, the middle one is the mean.
`increments`: a mean, the middle quantile, and softplus gaps on the logit scale to each side, added up: they cannot cross.
`beta`: mean and spread of a Beta distribution whose quantiles ascend with their level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, expit

from adaptive_middleware.scoring.quantiles import LOWER, UPPER

Floats = npt.NDArray[np.float64]
SHAPES = ("independent", "increments", "beta")
_EDGE = 1e-4
NARROWEST, WIDEST, STEEPEST = -3.0, 7.0, 3.0


@dataclass(frozen=True, slots=True)
class Correction:
    """What problems that took no part in the training taught about one kind of path.

    `slope` * logit + `bias` is the mean's index; the mean is read off `means`, (index, mean) pairs that both ascend, straight
    between and constant beyond, or is the index' logistic function where there are none. `spread` is added to the logarithm of a
    Beta's a + b; the 10 % and the 90 % quantile are read at the levels `lower` and `upper` (conformal).
    """

    slope: float = 1.0
    bias: float = 0.0
    means: tuple[tuple[float, float], ...] = ()
    spread: float = 0.0
    lower: float = LOWER
    upper: float = UPPER


@dataclass(frozen=True, slots=True)
class Reading:
    """How outputs are read: `shape`, the `levels` (ascending), what the features do, corrections.

    Each output is multiplied by exp(`scales` * features) and `weights` * features are added; both have one row per output, or
    none. `corrections` maps kinds of path to theirs; a kind without one is read as it is.
    """

    shape: str
    levels: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...] = ()
    scales: tuple[tuple[float, ...], ...] = ()
    corrections: Mapping[str, Correction] | None = None

    def completed(self, outputs: Floats, features: Floats) -> Floats:
        """The outputs (rows: paths) with what the features do to them."""
        if not self.weights:
            return outputs
        factors = np.exp(np.clip(features @ np.array(self.scales).T, -STEEPEST, STEEPEST))
        return np.asarray(outputs * factors + features @ np.array(self.weights).T)

    def __call__(self, outputs: Floats, features: Floats, kinds: Sequence[str]) -> tuple[Floats, Floats]:
        """Means, and quantiles with one row per path and one column per level."""
        raw = self.completed(outputs, features)
        means, quantiles = np.zeros(len(raw)), np.zeros((len(raw), len(self.levels)))
        for kind in sorted(set(kinds)):
            own = np.array([one == kind for one in kinds])
            correction = (self.corrections or {}).get(kind, Correction())
            means[own], quantiles[own] = read(self.shape, raw[own], self.levels, correction)
        return means, quantiles


def outputs_of(shape: str, levels: int) -> int:
    """How many outputs a head of this shape has.

    >>> [outputs_of(shape, 7) for shape in SHAPES]
    [7, 8, 2]
    """
    return {"independent": levels, "increments": levels + 1, "beta": 2}[shape]


def read(shape: str, raw: Floats, levels: Sequence[float], correction: Correction) -> tuple[Floats, Floats]:
    """Means and quantiles of paths of one kind."""
    middle = len(levels) // 2
    if shape == "independent":
        found = expit(raw)
        return found[:, middle], found
    index = correction.slope * raw[:, 0] + correction.bias
    curve = np.array(correction.means).reshape(-1, 2)
    found = np.interp(index, curve[:, 0], curve[:, 1]) if correction.means else expit(index)
    means = np.clip(found, _EDGE, 1 - _EDGE)
    read_at = corrected_levels(levels, correction)
    if shape == "beta":
        return means, beta_quantiles(means, raw[:, 1] + correction.spread, read_at)
    own = expit(increments(raw[:, 1:], middle))
    edges = np.column_stack([np.zeros(len(own)), own, np.ones(len(own))])
    at = [0.0, *levels, 1.0]
    rows = [np.interp(read_at, at, row) for row in edges]
    return means, np.array(rows).reshape(len(own), len(levels))


def corrected_levels(levels: Sequence[float], correction: Correction) -> Floats:
    """The model's level for each nominal one, linear between and beyond; order is kept, so nothing can cross."""
    corners = [0.0, correction.lower, correction.upper, 1.0]
    return np.interp(levels, [0.0, LOWER, UPPER, 1.0], corners)


def beta_quantiles(means: Floats, log_spreads: Floats, levels: Floats) -> Floats:
    """Quantiles of Beta(mean * s, (1 - mean) * s); ln s is held in [-3, 7]."""
    spreads = np.exp(np.clip(log_spreads, NARROWEST, WIDEST))
    a, b = (part * spreads for part in (means, 1 - means))
    found = betaincinv(a[:, None], b[:, None], np.asarray(levels)[None, :])
    return np.maximum.accumulate(np.clip(found, 0.0, 1.0), axis=1)


def increments(raw: Floats, middle: int) -> Floats:
    """Logits that ascend along each row: the one at `middle`, and sums of softplus gaps away from it."""
    gaps = np.logaddexp(0.0, raw)
    centre = raw[:, middle : middle + 1]
    above = centre + np.cumsum(gaps[:, middle + 1 :], axis=1)
    below = centre - np.cumsum(gaps[:, :middle][:, ::-1], axis=1)[:, ::-1]
    return np.column_stack([below, centre, above])
