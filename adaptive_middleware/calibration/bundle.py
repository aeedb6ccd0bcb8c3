"""A calibration on disk: JSON that names what it was fitted for and proves that it is whole.

`{"format": "adaptive-middleware calibration", "schema": 1, "prm", "generator", "data_sha256", "metrics",
"levels", "maps", "sha256"}`; `sha256` is over the canonical JSON of all the rest. No pickle, no NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path as File
from typing import Any

from adaptive_middleware.calibration.features import ANY, NAMES
from adaptive_middleware.calibration.posthoc import LOWER, UPPER, Calibration, QuantileMap
from adaptive_middleware.errors import BundleMismatch, CalibrationError
from adaptive_middleware.signed import read_signed, write_signed

FORMAT, SCHEMA = "adaptive-middleware calibration", 1


@dataclass(frozen=True, slots=True)
class Bundle:
    """A calibration with its papers: the models it holds for, the hash of its data, and how good it was.

    `prm` and `generator` are the model ids of the process reward model and of the sampled model;
    `data_sha256` is `examples.fingerprint` of the fitted data; `metrics` are named numbers.
    """

    prm: str
    generator: str
    data_sha256: str
    calibration: Calibration
    metrics: Mapping[str, float]


def save(bundle: Bundle, path: File) -> None:
    """Write the bundle so that `path` holds either the old file or the whole new one, never a part.

    Raises `CalibrationError` for a bundle that `load` would refuse (NaN, crossing quantiles, no map `any`).
    """
    _refuse_bad(bundle.calibration, "this bundle")
    write_signed(path, _content(bundle))


def load(path: File, *, prm: str | None = None, generator: str | None = None) -> Bundle:
    """Read and check a bundle; `prm` and `generator` are the model ids it is about to be used with.

    Raises `BundleMismatch` naming both ids when it was fitted for another model, and `CalibrationError` for a
    missing, garbled, foreign or differently versioned file.
    """
    bundle = _built(read_signed(path, FORMAT, SCHEMA), path)
    for what, wanted, found in (
        ("process reward model", prm, bundle.prm),
        ("generator", generator, bundle.generator),
    ):
        if wanted is not None and wanted != found:
            message = (
                f"{path} was fitted for the {what} {found!r}, but {wanted!r} is in use: fit a calibration for this "
                "pair, or configure the pair that it belongs to"
            )
            raise BundleMismatch(message)
    return bundle


def _content(bundle: Bundle) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "prm": bundle.prm,
        "generator": bundle.generator,
        "data_sha256": bundle.data_sha256,
        "metrics": dict(bundle.metrics),
        "levels": bundle.calibration.levels,
        "maps": {name: asdict(found) for name, found in bundle.calibration.maps.items()},
    }


def _built(content: dict[str, Any], path: File) -> Bundle:
    try:
        maps = {name: _map(found) for name, found in content["maps"].items()}
        calibration = Calibration(_floats(content["levels"]), maps)
        metrics = {name: float(value) for name, value in content["metrics"].items()}
        ids = [str(content[name]) for name in ("prm", "generator", "data_sha256")]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = (
            f"{path} lacks a part of a calibration bundle ({type(error).__name__}: {error}): fit it again"
        )
        raise CalibrationError(message) from error
    _refuse_bad(calibration, str(path))
    return Bundle(ids[0], ids[1], ids[2], calibration, metrics)


def _map(found: Mapping[str, Any]) -> QuantileMap:
    return QuantileMap(
        tuple(str(name) for name in found["names"]),
        _floats(found["weights"]),
        float(found["bias"]),
        _floats(found["knots"]),
        _floats(found["means"]),
        tuple(_floats(row) for row in found["quantiles"]),
    )


def _floats(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _refuse_bad(calibration: Calibration, where: str) -> None:
    levels = calibration.levels
    faults = [
        ("the map 'any' is missing", ANY not in calibration.maps),
        ("levels lack 0.1 or 0.9", LOWER not in levels or UPPER not in levels),
        ("levels do not ascend in (0, 1)", not _ascends((0.0, *levels, 1.0), strictly=True)),
        *(
            (f"map {name!r} is malformed", not _sound(found, len(levels)))
            for name, found in calibration.maps.items()
        ),
    ]
    for fault, found in faults:
        if found:
            message = f"{where} cannot be used: {fault}; fit the calibration again"
            raise CalibrationError(message)


def _sound(found: QuantileMap, levels: int) -> bool:
    """Whether names, lengths and order are such that applying the map can neither fail nor cross."""
    rows = (found.means, *found.quantiles)
    return (
        set(found.names) <= set(NAMES)
        and len(found.names) == len(found.weights)
        and all(isfinite(value) for value in (found.bias, *found.weights))
        and len(found.knots) > 0
        and _ascends(found.knots, strictly=True)
        and len(found.quantiles) == levels
        and all(len(row) == len(found.knots) and _ascends((0.0, *row, 1.0)) for row in rows)
        and all(_ascends(column) for column in zip(*found.quantiles, strict=True))
    )


def _ascends(values: Sequence[float], *, strictly: bool = False) -> bool:
    finite = all(isfinite(value) for value in values)
    return finite and all(a < b if strictly else a <= b for a, b in pairwise(values))
