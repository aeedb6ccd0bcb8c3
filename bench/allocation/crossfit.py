"""A setting chosen on other problems than it is judged on: the cheapest one that keeps the reference's accuracy.

Whatever has a knob can be turned until it looks good. So the problems are dealt into folds; for each fold the setting is
chosen on the other folds' problems alone, and what is reported is what the choices did on the folds they had not seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from adaptive_middleware.calibration.conformal import folds as dealt
from bench.allocation.curve import Floats

FOLDS = 10
_TOLERANCE = 1e-9


def folds(ids: Sequence[str], seed: int = 0, count: int = FOLDS) -> NDArray[np.intp]:
    """Fold of each problem, 0 .. count - 1: shuffled by `seed`, then dealt round; at most one fold a problem.

    >>> sorted(folds(["a", "b", "c"], count=2).tolist())
    [0, 0, 1]
    """
    fold_of = dealt(ids, min(count, len(ids)), seed)
    return np.asarray([fold_of[one] for one in ids], dtype=np.intp)


def choose(accuracy: Floats, cost: Floats, target: float) -> int:
    """Index of the cheapest setting whose accuracy is at least `target`; the most accurate one when none is.

    `accuracy` and `cost` have one entry a setting. Equal ones: the first.

    >>> choose(np.array([0.5, 0.7, 0.8]), np.array([1.0, 2.0, 3.0]), 0.6)
    1
    >>> choose(np.array([0.5, 0.7, 0.8]), np.array([1.0, 2.0, 3.0]), 0.9)
    2
    """
    enough = accuracy >= target - _TOLERANCE
    if enough.any():
        return int(np.argmin(np.where(enough, cost, np.inf)))
    best = accuracy >= accuracy.max() - _TOLERANCE
    return int(np.argmin(np.where(best, cost, np.inf)))


def crossfitted(
    accuracy: Floats, cost: Floats, target: Floats, fold_of: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Setting of each fold, chosen without the fold's own problems.

    `accuracy` and `cost` are (fits, settings, problems): one fit for all folds, or fit f made without fold f's
    problems. `target` holds the reference's accuracy on each problem: a fold's aim is its mean over the other
    folds' problems. Nothing that belongs to a problem of the fold enters the fold's choice.
    """
    chosen = []
    for fold in range(int(fold_of.max()) + 1):
        fit = fold if len(accuracy) > 1 else 0
        others = fold_of != fold
        means = accuracy[fit][:, others].mean(axis=1), cost[fit][:, others].mean(axis=1)
        chosen.append(choose(*means, float(target[others].mean())))
    return np.asarray(chosen, dtype=np.intp)


def held_out(figures: Floats, chosen: NDArray[np.intp], fold_of: NDArray[np.intp]) -> Floats:
    """What each problem's fold's setting did on it: (fits, settings, problems, ..) becomes (problems, ..)."""
    fit = fold_of if len(figures) > 1 else np.zeros_like(fold_of)
    picked: Floats = figures[fit, chosen[fold_of], np.arange(figures.shape[2])]
    return picked
