"""Recalibration: how good a calibration fitted to this traffic would be, and that calibration as a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # comes with scikit-learn

from adaptive_middleware.audit.error import calibration_error
from adaptive_middleware.audit.lower import coverage_of
from adaptive_middleware.audit.traffic import Traffic, judged
from adaptive_middleware.calibration.bundle import Bundle
from adaptive_middleware.calibration.conformal import FEWEST_PROBLEMS
from adaptive_middleware.calibration.crossfit import crossfit
from adaptive_middleware.calibration.examples import fingerprint
from adaptive_middleware.calibration.fit import fit
from adaptive_middleware.calibration.metrics import brier
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.errors import CalibrationError


@dataclass(frozen=True, slots=True)
class Recalibrated:
    """Figures of finished answers, each estimated by a calibration that was fitted to other problems only."""

    ece: float
    ece_ci95: tuple[float, float]
    brier: float
    coverage_lower10: float


def refitted(traffic: Traffic, seed: int = 0) -> dict[str, Calibration]:
    """Problem -> calibration fitted to this traffic without it.

    Raises `CalibrationError` when nothing can be fitted: too few problems, all right or all wrong.
    """
    _check(traffic)
    with threadpool_limits(1):  # the matrices are tiny: more threads only wait for each other
        return crossfit(traffic.examples, seed=seed)


def recalibrated(traffic: Traffic, fitted: Mapping[str, Calibration], seed: int = 0) -> Recalibrated:
    """What recalibration would give, by calibrations of `refitted`."""
    estimates = [fitted[one.example.group](one.path, one.scores) for one in traffic.answers]
    found = judged(traffic.answers, estimates)
    error = calibration_error(found, seed)
    coverage = coverage_of(estimates, [one.example for one in traffic.answers])
    return Recalibrated(error.value, (error.low, error.high), brier(found.p, found.right), coverage.share)


def new_bundle(traffic: Traffic, old: Bundle, figures: Recalibrated, seed: int = 0) -> Bundle:
    """The bundle that takes the place of `old` for the same models: fitted to all of the traffic.

    Its metrics are the cross-fitted `figures`. Raises `CalibrationError` as `refitted`.
    """
    examples = traffic.examples
    with threadpool_limits(1):
        calibration = fit(examples, seed=seed)
    metrics = {
        "crossfit.finished.ece_calibrated": figures.ece,
        "crossfit.finished.brier_calibrated": figures.brier,
        "crossfit.finished.coverage.share": figures.coverage_lower10,
        "fit.paths": float(len(examples)),
        "fit.problems": float(len({example.group for example in examples})),
    }
    return Bundle(old.prm, old.generator, fingerprint(examples), calibration, metrics)


def _check(traffic: Traffic) -> None:
    """Say of the whole recording what a fit would only say of a part of it."""
    right = {one.example.success for one in traffic.answers}
    problems = len({one.example.group for one in traffic.answers})
    if right in ({0.0}, {1.0}):
        what, remedy = ("right", "harder") if right == {1.0} else ("wrong", "easier")
        message = f"all {len(traffic.answers)} scored answers are {what}: nothing can be fitted; add {remedy} problems"
        raise CalibrationError(message)
    if problems <= FEWEST_PROBLEMS:
        message = f"{problems} problems with scores are too few to fit to all but one of them: at least {FEWEST_PROBLEMS + 1} are needed"
        raise CalibrationError(message)
