"""Which further evidence earns its place in a calibration: held-out problems decide.

A group of features (`features.GROUPS`) is worth reading when it lowers the log loss on problems that the fit has
not seen, and when it does so by more than one standard error of the difference, paired by problem (the one-standard-error rule of
Breiman et al. 1984: between models that the data cannot tell apart, the simpler). With a few dozen
problems a feature that differs between problems, as length does, fits their peculiarities easily.

Needs numpy and scipy, which only fitting and evaluation do.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from scipy.special import expit

from adaptive_middleware.calibration.conformal import folds
from adaptive_middleware.calibration.coverage import Floats
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.shapes import matrix_of, regression

_FOLDS = 5
_CLAMP = 1e-6


def helps(examples: Sequence[Example], names: Sequence[str], rival: Sequence[str], seed: int) -> bool:
    """Whether the features `names` predict problems that the fit has not seen better than those of `rival`.

    Better means: the mean over problems of the log loss saved is above its own standard error.
    """
    saved = held_out_losses(examples, rival, seed) - held_out_losses(examples, names, seed)
    return float(saved.mean()) > float(saved.std(ddof=1)) / sqrt(len(saved))


def held_out_losses(examples: Sequence[Example], names: Sequence[str], seed: int) -> Floats:
    """Log loss of each problem, summed over its paths, under the index fitted to the other folds' problems.

    Problems come in the order of their names. A path with success k/m counts as that share of a right one.
    """
    groups = [example.group for example in examples]
    of = folds(groups, _FOLDS, seed)
    fold = np.array([of[group] for group in groups])
    matrix, success = matrix_of(examples, names), np.array([example.success for example in examples])
    chances = np.empty(len(examples))
    for number in range(_FOLDS):
        own = fold == number
        weights, bias = regression(matrix[~own], success[~own], names)
        chances[own] = np.clip(expit(bias + matrix[own] @ weights), _CLAMP, 1 - _CLAMP)
    losses = -(success * np.log(chances) + (1 - success) * np.log1p(-chances))
    owner = np.unique(groups, return_inverse=True)[1]
    return np.asarray(np.bincount(owner, losses), dtype=np.float64)
