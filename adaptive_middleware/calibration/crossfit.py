"""Honest calibrations for replays: each problem gets one that was fitted without it."""

from __future__ import annotations

from collections.abc import Sequence

from adaptive_middleware.calibration.conformal import folds as dealt
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.fit import LEVELS, fit
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.errors import CalibrationError

_FEW = 50


def crossfit(
    examples: Sequence[Example],
    folds: int = 10,
    seed: int = 0,
    *,
    levels: Sequence[float] = LEVELS,
    evidence: Sequence[str] | None = None,
) -> dict[str, Calibration]:
    """Problem -> calibration fitted on the other folds' problems only.

    With fewer than 50 problems each is a fold of its own (leave one out). Problems of one fold share one
    calibration. A whole-answer score is an `Example` with `scores=(x,)`, `steps=1`, `done=True`, `rollouts=1`.
    `evidence` as in `fit`; left to the data, each fold chooses anew, without the problems that it holds out.

    Raises `CalibrationError` for fewer than two folds, and as `fit` does.
    """
    if folds < 2:
        message = f"folds={folds!r}: at least 2 are needed, one to fit on and one to hold out"
        raise CalibrationError(message)
    groups = {example.group for example in examples}
    count = max(len(groups), 2) if len(groups) < _FEW else folds
    fold_of = dealt([example.group for example in examples], count, seed)
    fitted = {
        fold: fit(
            [e for e in examples if fold_of[e.group] != fold], levels=levels, seed=seed, evidence=evidence
        )
        for fold in range(count)
    }
    return {group: fitted[fold] for group, fold in fold_of.items()}
