"""From measured paths to a calibration: split by problem, fit, evaluate on the rest, and what to keep of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import TypeAlias

from adaptive_middleware.calibration.bundle import Bundle
from adaptive_middleware.calibration.conformal import FEWEST_PROBLEMS
from adaptive_middleware.calibration.evaluate import Evaluation, evaluate, figures
from adaptive_middleware.calibration.examples import Example, fingerprint
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.collect.measured import Measured, Problem
from adaptive_middleware.errors import CalibrationError

Fit: TypeAlias = Callable[[Sequence[Example]], Calibration]
"""The method: examples of the fitted problems in, a calibration out; raises `CalibrationError`."""

FALLBACK = (
    "Until there is a calibration, use `calibration: none`: raw scores are then taken at their word and reports say "
    "`calibrated: false`; or leave `prm` out: the prior is then uniform over [0, 1], and votes decide"
)


@dataclass(frozen=True, slots=True)
class Split:
    """Measured paths of the problems to fit on, and of those held out."""

    fitted: tuple[Measured, ...]
    held_out: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A bundle ready to be saved, how good it is on the held-out problems, and their examples."""

    bundle: Bundle
    evaluations: Mapping[str, Evaluation]
    held_out: tuple[Example, ...]


def held_out_ids(ids: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """The problems to hold out: of all ids, whether finished or not, so that a resumed run holds out the same.

    >>> sorted(held_out_ids(["a", "b", "c", "d"], 0.5, seed=0)) == sorted(held_out_ids(["d", "c", "b", "a"], 0.5, seed=0))
    True
    """
    order = sorted(ids)
    Random(f"{seed}:held out").shuffle(order)  # noqa: S311 - a split of data, not a secret
    return frozenset(order[: max(round(share * len(order)), 1)])


def enough(problems: int, share: float) -> None:
    """Raise `CalibrationError`, saying how many are needed, where `problems` cannot give the bound."""
    needed = fewest(share)
    if problems < needed:
        message = (
            f"{problems} prompts are too few: {share:.0%} of them are held out, and a lower bound that covers 90 % needs at "
            f"least {FEWEST_PROBLEMS} problems to fit on, so {needed} in all (and some {ceil(10 * FEWEST_PROBLEMS / (1 - share))} "
            f"to be sharp). {FALLBACK}"
        )
        raise CalibrationError(message)


def fewest(share: float) -> int:
    """The least number of problems of which enough are left to fit on.

    >>> fewest(0.3)
    13
    """
    n = FEWEST_PROBLEMS + 1
    while n - max(round(share * n), 1) < FEWEST_PROBLEMS:
        n += 1
    return n


def split(problems: Sequence[Problem], held_out: frozenset[str]) -> Split:
    """The rows of the problems, by whether they are held out."""
    rows = [row for problem in problems for row in problem.rows]
    return Split(
        tuple(row for row in rows if row.problem not in held_out),
        tuple(row for row in rows if row.problem in held_out),
    )


def fitted(parts: Split, fit: Fit, *, prm: str, generator: str) -> Fitted:
    """The calibration of `fit`, evaluated on the held-out problems, as a bundle for these two models.

    Raises `CalibrationError`, naming the fallback, where the data allows no calibration.
    """
    examples = [row.example() for row in parts.fitted]
    held_out = tuple(row.example() for row in parts.held_out)
    if not held_out:
        message = (
            f"no held-out problem is finished, so nothing can be evaluated: go on with --resume. {FALLBACK}"
        )
        raise CalibrationError(message)
    try:
        calibration = fit(examples)
    except CalibrationError as error:
        message = f"no calibration is possible: {error}. {FALLBACK}"
        raise CalibrationError(message) from error
    evaluations = evaluate(calibration, held_out)
    sizes = {"fit.problems": float(len({e.group for e in examples})), "fit.paths": float(len(examples))}
    bundle = Bundle(prm, generator, fingerprint(examples), calibration, sizes | figures(evaluations))
    return Fitted(bundle, evaluations, held_out)
