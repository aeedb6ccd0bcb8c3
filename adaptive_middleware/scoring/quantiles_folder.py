"""A fine-tuned calibration on disk: a folder of two safetensors files and a manifest that proves it whole.

`manifest.json` holds `{"format": "adaptive-middleware fine-tuned calibration", "schema": 1, "prm", "generator", "data_sha256",
"family", "adapter", "reading", "recipe", "metrics", "files": {name: sha256}, "sha256"}`; the last is over the
canonical JSON of all the rest. No pickle, no NaN. `adapter.safetensors` holds the low-rank matrices,
`head.safetensors` the output layer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path as File
from typing import Any

from adaptive_middleware.checkpoint import file_digest
from adaptive_middleware.errors import BundleMismatch, CalibrationError
from adaptive_middleware.scoring.quantiles import FEATURES, KINDS, LOWER, UPPER
from adaptive_middleware.scoring.quantiles_reading import SHAPES, Correction, Reading, outputs_of
from adaptive_middleware.signed import digest as content_digest

FORMAT, SCHEMA = "adaptive-middleware fine-tuned calibration", 1
MANIFEST, ADAPTER, HEAD = "manifest.json", "adapter.safetensors", "head.safetensors"


@dataclass(frozen=True, slots=True)
class Adapter:
    """Where low-rank matrices sit and how large they are: modules by name, in the layers with these indices."""

    rank: int
    alpha: int
    dropout: float
    modules: tuple[str, ...]
    layers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The papers of a fine-tuned calibration.

    `prm` and `generator` are the ids of the base process reward model and of the sampled model; `data_sha256` is
    the fingerprint of the training data, `recipe` and `metrics` are for people, `files` maps file names to digests.
    """

    prm: str
    generator: str
    data_sha256: str
    family: str
    adapter: Adapter
    reading: Reading
    recipe: Mapping[str, Any]
    metrics: Mapping[str, float]
    files: Mapping[str, str]


def text_of(manifest: Manifest) -> str:
    """The manifest as signed JSON. Raises `CalibrationError` for a number that JSON cannot hold."""
    content = {"format": FORMAT, "schema": SCHEMA, **asdict(manifest)}
    try:
        return (
            json.dumps(
                content | {"sha256": content_digest(content)}, indent=1, sort_keys=True, allow_nan=False
            )
            + "\n"
        )
    except ValueError as error:
        message = (
            f"this calibration holds a number that JSON cannot ({error}): metrics={dict(manifest.metrics)!r}"
        )
        raise CalibrationError(message) from error


def open_folder(folder: File, *, prm: str | None = None, generator: str | None = None) -> Manifest:
    """Read and check a folder, every file of it; `prm` and `generator` are the ids it is about to be used with.

    Raises `BundleMismatch` naming both ids when it was made for another model, and `CalibrationError` for a missing,
    garbled, foreign, changed or differently versioned folder.
    """
    content = _parsed(folder / MANIFEST)
    manifest = _built(content, folder)
    for what, wanted, found in (
        ("process reward model", prm, manifest.prm),
        ("generator", generator, manifest.generator),
    ):
        if wanted is not None and wanted != found:
            message = (
                f"{folder} was fine-tuned for the {what} {found!r}, but {wanted!r} is in use: fine-tune for this pair, "
                "or configure the pair that it belongs to"
            )
            raise BundleMismatch(message)
    for name, digest in manifest.files.items():
        if not (folder / name).is_file() or file_digest(folder / name) != digest:
            message = f"{folder / name} is missing or was changed since it was written: restore the folder or fine-tune again"
            raise CalibrationError(message)
    return manifest


def _parsed(path: File) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        message = (
            f"{path.parent} is no fine-tuned calibration (no {path.name}): fine-tune one, or correct the path"
        )
        raise CalibrationError(message) from error
    except (OSError, ValueError, RecursionError) as error:
        message = f"{path} is not readable JSON ({error}): restore the folder or fine-tune again"
        raise CalibrationError(message) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        message = (
            f"{path} is JSON, but not the manifest of a fine-tuned calibration (format is not {FORMAT!r})"
        )
        raise CalibrationError(message)
    if content.get("schema") != SCHEMA:
        message = f"{path} has schema {content.get('schema')!r}, this version reads {SCHEMA}: fine-tune again"
        raise CalibrationError(message)
    return content


def _built(content: dict[str, Any], folder: File) -> Manifest:
    try:
        if content.pop("sha256") != content_digest(content):
            message = f"{folder / MANIFEST} was changed since it was written (sha256 differs): restore it or fine-tune again"
            raise CalibrationError(message)
        adapter = dict(content["adapter"])
        adapter |= {"modules": tuple(adapter["modules"]), "layers": tuple(adapter["layers"])}
        manifest = Manifest(
            str(content["prm"]),
            str(content["generator"]),
            str(content["data_sha256"]),
            str(content["family"]),
            Adapter(**adapter),
            _reading(content["reading"]),
            dict(content["recipe"]),
            {name: float(value) for name, value in content["metrics"].items()},
            {str(name): str(digest) for name, digest in content["files"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"{folder / MANIFEST} lacks a part ({type(error).__name__}: {error}): fine-tune again"
        raise CalibrationError(message) from error
    if set(manifest.files) != {ADAPTER, HEAD} or not _sound(manifest.reading):
        message = f"{folder / MANIFEST} cannot be used: its reading or its list of files is malformed; fine-tune again"
        raise CalibrationError(message)
    return manifest


def _reading(found: Mapping[str, Any]) -> Reading:
    return Reading(
        str(found["shape"]),
        tuple(float(level) for level in found["levels"]),
        _rows(found["weights"]),
        _rows(found["scales"]),
        {
            kind: Correction(**{**values, "means": _rows(values["means"])})
            for kind, values in (found["corrections"] or {}).items()
        },
    )


def _rows(found: Any) -> tuple[tuple[float, ...], ...]:  # noqa: ANN401 - JSON
    return tuple(tuple(float(value) for value in row) for row in found)


def _sound(reading: Reading) -> bool:
    """Whether applying it can neither fail nor cross, beyond what its shape allows."""
    levels = (0.0, *reading.levels, 1.0)
    corrections = (reading.corrections or {}).values()
    numbers = [number for one in corrections for number in (one.slope, one.bias, one.spread)]
    return (
        reading.shape in SHAPES
        and all(low < high for low, high in pairwise(levels))
        and LOWER in levels
        and UPPER in levels
        and len(reading.weights) in {0, outputs_of(reading.shape, len(reading.levels))}
        and len(reading.scales) == len(reading.weights)
        and all(
            len(row) == len(FEATURES) and all(map(isfinite, row))
            for row in (*reading.weights, *reading.scales)
        )
        and set(reading.corrections or {}) <= set(KINDS)
        and all(isfinite(number) for number in numbers)
        and all(0 < one.lower < one.upper < 1 and one.slope > 0 for one in corrections)
        and all(_ascends(one.means) for one in corrections)
    )


def _ascends(means: Sequence[Sequence[float]]) -> bool:
    """Whether indices ascend strictly, means ascend in [0, 1], and all are finite pairs."""
    pairs = all(len(one) == 2 and isfinite(one[0]) and 0 <= one[1] <= 1 for one in means)
    return pairs and all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(means))
