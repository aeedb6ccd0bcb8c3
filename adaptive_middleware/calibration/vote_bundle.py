"""A calibration of votes on disk: signed JSON that names the model whose answers were counted.

`{"format": "adaptive-middleware vote calibration", "schema": 1, "generator", "data_sha256", "metrics", "weights", "sha256"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path as File
from typing import Any

from adaptive_middleware.calibration.votes import VoteCalibration
from adaptive_middleware.errors import BundleMismatch, CalibrationError
from adaptive_middleware.signed import read_signed, write_signed

FORMAT, SCHEMA = "adaptive-middleware vote calibration", 1


@dataclass(frozen=True, slots=True)
class VoteBundle:
    """A calibration of votes with its papers.

    `generator` is the id of the model that was sampled, `data_sha256` is `vote_fit.fingerprint` of the fitted
    ballots, and `metrics` are named numbers.
    """

    generator: str
    data_sha256: str
    calibration: VoteCalibration
    metrics: Mapping[str, float]


def save_votes(bundle: VoteBundle, path: File) -> None:
    """Write the bundle so that `path` holds either the old file or the whole new one, never a part.

    Raises `CalibrationError` for a bundle that `load_votes` would refuse.
    """
    _refuse_bad(bundle.calibration, "this bundle")
    write_signed(
        path,
        {
            "format": FORMAT,
            "schema": SCHEMA,
            "generator": bundle.generator,
            "data_sha256": bundle.data_sha256,
            "metrics": dict(bundle.metrics),
            "weights": asdict(bundle.calibration),
        },
    )


def load_votes(path: File, *, generator: str | None = None) -> VoteBundle:
    """Read and check a bundle; `generator` is the id of the model that it is about to be used with.

    Raises `BundleMismatch` naming both ids when it was fitted for another model, and `CalibrationError` for a
    missing, garbled, foreign, changed or differently versioned file.
    """
    bundle = _built(read_signed(path, FORMAT, SCHEMA), path)
    if generator is not None and generator != bundle.generator:
        message = (
            f"{path} was fitted for the generator {bundle.generator!r}, but {generator!r} is in use: fit a calibration "
            "of votes for it, or configure the model that this one belongs to"
        )
        raise BundleMismatch(message)
    return bundle


def _built(content: Mapping[str, Any], path: File) -> VoteBundle:
    try:
        weights = {name: float(value) for name, value in content["weights"].items()}
        metrics = {name: float(value) for name, value in content["metrics"].items()}
        calibration = VoteCalibration(**weights)
        bundle = VoteBundle(str(content["generator"]), str(content["data_sha256"]), calibration, metrics)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = (
            f"{path} lacks a part of a calibration of votes ({type(error).__name__}: {error}): fit it again"
        )
        raise CalibrationError(message) from error
    _refuse_bad(calibration, str(path))
    return bundle


def _refuse_bad(calibration: VoteCalibration, where: str) -> None:
    weights = asdict(calibration)
    for name, value in weights.items():
        if not isfinite(value) or (name != "bias" and value < 0):
            message = (
                f"{where} cannot be used: {name}={value!r}, but weights are finite and >= 0; fit it again"
            )
            raise CalibrationError(message)
