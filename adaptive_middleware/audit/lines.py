"""The file given to an audit: its lines, and whether it is a recording or a store of reported calls."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path as File

from adaptive_middleware.errors import RecordingError

_GZIP_MAGIC = b"\x1f\x8b"
_EITHER = "audit reads a recording (docs/recordings.md) or a store of reported calls (docs/audit.md)"


def lines_of(file: File) -> list[bytes]:
    """The lines of a file, gzipped or not, without their ends; what follows the last line end is the last one.

    Raises `RecordingError` when the file cannot be read.
    """
    try:
        content = file.read_bytes()
        return (gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content).split(b"\n")
    except FileNotFoundError as error:
        message = f"{file}: no such file; {_EITHER}"
        raise RecordingError(message) from error
    except (OSError, EOFError, zlib.error) as error:
        message = f"{file}: cannot be read ({error}); if it is gzip, it is damaged or cut off"
        raise RecordingError(message) from error


def is_store(file: File) -> bool:
    """Whether the first line of `file` is the report of a call; False for a recording.

    Raises `RecordingError` when the file cannot be read, is empty, or is neither.
    """
    numbered = enumerate(lines_of(file), 1)
    number, first = next(((number, line) for number, line in numbered if line.strip()), (0, b""))
    if not number:
        message = f"{file}: empty; {_EITHER}"
        raise RecordingError(message)
    try:
        fields = json.loads(first)
    except (ValueError, RecursionError) as error:
        message = f"{file}:{number}: not JSON ({error}); {_EITHER}"
        raise RecordingError(message) from error
    if isinstance(fields, dict) and {"strategy", "decisions"} <= fields.keys():
        return True
    if isinstance(fields, dict) and fields.keys() & {"samples", "n_correct"}:
        return False
    message = f"{file}:{number}: neither a problem with its 'samples' nor a call's report with 'strategy' and 'decisions'; {_EITHER}"
    raise RecordingError(message)
