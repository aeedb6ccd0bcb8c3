"""Recalibration: how good a calibration fitted to this traffic would be, and that calibration as a bundle."""

from __future__ import annotations

from dataclasses import dataclass

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # comes with scikit-learn

from adaptive_middleware.audit.error import calibration_error
from adaptive_middleware.audit.lower import lower_coverage
from adaptive_middleware.audit.traffic import Traffic, judged
from adaptive_middleware.calibration.bundle import Bundle
from adaptive_middleware.calibration.crossfit import crossfit
from adaptive_middleware.calibration.examples import fingerprint
from adaptive_middleware.calibration.fit import fit
from adaptive_middleware.calibration.metrics import brier


@dataclass(frozen=True, slots=True)
class Recalibrated:
    """Figures of finished answers, each estimated by a calibration that was fitted to other problems only."""

    ece: float
    ece_ci95: tuple[float, float]
    brier: float
    coverage_lower10: float


def recalibrated(traffic: Traffic, seed: int = 0) -> Recalibrated:
    """What recalibration would give, cross-fitted by problem.

    Raises `CalibrationError` when nothing can be fitted: too few problems, all right or all wrong.
    """
    with threadpool_limits(1):  # the matrices are tiny: more threads only wait for each other
        fitted = crossfit(traffic.examples, seed=seed)
    estimates = [fitted[one.example.group](one.path, one.scores) for one in traffic.answers]
    found = judged(traffic.answers, estimates)
    error, coverage = (
        calibration_error(found, seed),
        lower_coverage(estimates, [one.example for one in traffic.answers]),
    )
    share = 0.0 if coverage is None else coverage.share
    return Recalibrated(error.value, (error.low, error.high), brier(found.p, found.right), share)


def new_bundle(traffic: Traffic, old: Bundle, figures: Recalibrated, seed: int = 0) -> Bundle:
    """The bundle that takes the place of `old` for the same models: fitted to all of the traffic.

    Its metrics are the cross-fitted `figures`. Raises `CalibrationError` as `recalibrated`.
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
