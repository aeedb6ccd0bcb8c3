"""Conformal correction of the quantile levels, by problem.

Each problem's paths are predicted by a model that never saw the problem (five folds). Where their transforms
(`coverage`) show that the 10 % quantile misses more or fewer than 10 % of the measured successes, another level of
the model is read for it: distributional conformal prediction (Chernozhukov, Wüthrich and Zhu 2021), with
the finite-sample correction of conformal risk control (Angelopoulos et al. 2022): of n problems, at most (0.1 (n + 1) - 1) / n may be
missed. So nine problems are the least that can give a 10 % bound. Folds instead of one split use every
problem twice (cross-conformal prediction, Vovk 2015); the guarantee is then approximate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from random import Random

import numpy as np

from adaptive_middleware.calibration.coverage import Floats, Units, shares_below, transforms, units
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.posthoc import LOWER, UPPER
from adaptive_middleware.calibration.shapes import Shape, matrix_of, quantile_map, shape

FEWEST_PROBLEMS = ceil(1 / LOWER - 1e-9) - 1
_FOLDS, _ROUNDS = 5, 2
_INSIDE = (0.002, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.998)
_GRID = np.linspace(0.005, 0.995, 199)


@dataclass(frozen=True, slots=True)
class Levels:
    """Which level of the model is read for the 10 % and for the 90 % quantile; linear between and beyond."""

    lower: float = LOWER
    upper: float = UPPER

    def read_at(self, levels: Sequence[float]) -> list[float]:
        """The model's level for each nominal one; order is kept, so quantiles cannot cross."""
        corners = [0.0, self.lower, self.upper, 1.0]
        return [float(np.interp(level, [0.0, LOWER, UPPER, 1.0], corners)) for level in levels]


def folds(groups: Sequence[str], count: int, seed: int) -> dict[str, int]:
    """Fold of each problem: shuffled by `seed`, then dealt round."""
    problems = sorted(set(groups))
    Random(seed).shuffle(problems)  # noqa: S311 - a split of data, not a secret
    return {problem: i % count for i, problem in enumerate(problems)}


def conformalised(examples: Sequence[Example], names: Sequence[str], seed: int) -> Levels:
    """Levels at which the model's quantiles cover as they should on problems it has not seen."""
    held_out = _out_of_fold(examples, names, seed)
    problems = len({example.group for example in examples})
    miss = max((LOWER * (problems + 1) - 1) / problems, 0.0)
    levels = Levels()
    for _ in range(_ROUNDS):
        reached = held_out.shares(levels)
        low, high = np.interp([miss, 1 - miss], reached, _GRID)
        lower, upper = levels.read_at([low, high])
        levels = Levels(min(max(lower, 0.002), 0.45), min(max(upper, 0.55), 0.998))
    return levels


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """Models of the folds, and the index that each row gets from the model that did not see it."""

    models: tuple[Shape, ...]
    fold: Floats
    index: Floats
    found: Units

    def shares(self, levels: Levels) -> Floats:
        """Share of paths whose transform is below each point of the grid: ascending."""
        rows = np.zeros((len(self.index), len(_INSIDE)))
        for number, model in enumerate(self.models):
            curves = quantile_map(model, _INSIDE, levels.read_at(_INSIDE))
            own = self.fold == number
            rows[own] = np.column_stack(
                [np.interp(self.index[own], curves.knots, q) for q in curves.quantiles]
            )
        below, upto = transforms(self.found.mean(rows), _INSIDE, self.found.right, self.found.trials)
        weights = self.found.sizes
        shares = [np.average(shares_below(float(v), below, upto), weights=weights) for v in _GRID]
        return np.array(shares) + 1e-12 * np.arange(len(_GRID))


def _out_of_fold(examples: Sequence[Example], names: Sequence[str], seed: int) -> _HeldOut:
    of = folds([example.group for example in examples], _FOLDS, seed)
    matrix = matrix_of(examples, names)
    fold = np.array([float(of[example.group]) for example in examples])
    index, means = np.zeros(len(examples)), np.zeros(len(examples))
    models = []
    for number in range(_FOLDS):
        own = fold == number
        seen = [example for example, out in zip(examples, own, strict=True) if not out]
        model = shape(seen, matrix[~own], names)
        index[own] = model.index(matrix[own])
        means[own] = np.interp(index[own], model.centres, model.means)
        models.append(model)
    found = units(examples, np.minimum(means * 10, 9).astype(int).tolist())
    return _HeldOut(tuple(models), fold, index, found)
