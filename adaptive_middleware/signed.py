"""Signed JSON: a file that names its format and proves that it is whole; written at once or not at all.

The field `sha256` is over the canonical JSON of all the rest. No pickle, no NaN.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path as File
from typing import Any

from adaptive_middleware.atomic import replace_file
from adaptive_middleware.errors import CalibrationError


def write_signed(path: File, content: Mapping[str, Any]) -> None:
    """Write the content so that `path` holds either the old file or the whole new one, never a part.

    Raises `CalibrationError` for a number that JSON cannot hold.
    """
    try:
        signed = dict(content) | {"sha256": digest(content)}
        text = json.dumps(signed, indent=1, sort_keys=True, allow_nan=False)
    except ValueError as error:
        metrics = content.get("metrics")
        message = f"this bundle holds a number that JSON cannot ({error}): metrics={metrics!r}"
        raise CalibrationError(message) from error
    replace_file(path, f"{text}\n".encode())


def read_signed(path: File, form: str, schema: int) -> dict[str, Any]:
    """The content of a file of this format and schema, checked, without its `sha256`.

    Raises `CalibrationError` for a missing, garbled, foreign, differently versioned or changed file.
    """
    content = _parsed(path)
    if not isinstance(content, dict) or content.get("format") != form:
        message = f"{path} is JSON, but not a calibration bundle (format is not {form!r})"
        raise CalibrationError(message)
    if content.get("schema") != schema:
        message = f"{path} has schema {content.get('schema')!r}, this version reads {schema}: fit the calibration again"
        raise CalibrationError(message)
    try:
        whole = content.pop("sha256") == digest(content)
    except (KeyError, ValueError) as error:
        message = (
            f"{path} lacks a part of a calibration bundle ({type(error).__name__}: {error}): fit it again"
        )
        raise CalibrationError(message) from error
    if not whole:
        message = f"{path} was changed or cut since it was written (sha256 differs): restore it or fit again"
        raise CalibrationError(message)
    return content


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of the content."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _parsed(path: File) -> object:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        message = (
            f"{path}: no such calibration bundle; fit one, or correct `calibration` in the configuration"
        )
        raise CalibrationError(message) from error
    except (OSError, ValueError, RecursionError) as error:
        message = f"{path} is not readable JSON ({error}): restore the file or fit the calibration again"
        raise CalibrationError(message) from error
