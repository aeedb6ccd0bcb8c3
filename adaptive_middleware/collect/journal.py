"""The journal: every finished unit of work as one line, on the disk before the next one is begun.

JSONL, append-only. The first line says what the data is of (`identity`); the others are `{"unit": key, ..}` or notes
`{"note": what, ..}`. A process that is killed leaves at most one torn last line, which the next one cuts off.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path as File
from threading import Lock
from typing import IO, Any, Self

from adaptive_middleware.errors import CalibrationError

FORMAT, NAME = "adaptive-middleware collection 1", "journal.jsonl"


class Journal:
    """The units in `folder`/journal.jsonl, readable and added to from several threads; one process at a time.

    A new journal is begun for `identity`; an existing one is gone on with when `resume` says so. `notes` says what was
    repaired, `lost` holds the lines of an existing journal that are no finished units.

    Raises `CalibrationError`: a journal is there and `resume` is False, it is of another identity (each difference is
    named), it is damaged before its last line, or another process is writing to it.
    """

    def __init__(self, folder: File, identity: Mapping[str, object], *, resume: bool) -> None:
        self.path = folder / NAME
        self.notes: list[str] = []
        self.lost: list[Mapping[str, Any]] = []
        self._units: dict[str, dict[str, Any]] = {}
        self._writing = Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b", buffering=0)
        try:
            self._lock()
            self._begin(identity, resume=resume)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def units(self) -> Mapping[str, Mapping[str, Any]]:
        """All finished units by key."""
        return self._units

    def get(self, key: str) -> Mapping[str, Any] | None:
        """A finished unit, or None."""
        return self._units.get(key)

    def put(self, key: str, unit: Mapping[str, Any]) -> None:
        """Write down a finished unit; it is on the disk when this returns. A later one of the same key holds."""
        self._append({"unit": key, **unit})
        self._units[key] = {"unit": key, **unit}

    def note(self, what: str, details: Mapping[str, Any]) -> None:
        """Write down something that is no unit of work: an error and its cause."""
        self._append({"note": what, **details})

    def _append(self, row: Mapping[str, Any]) -> None:
        line = json.dumps(row, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with self._writing:
            _written(self._file, line)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{self.path}: another process is collecting here; wait for it, or choose another --out"
            raise CalibrationError(message) from error

    def _begin(self, identity: Mapping[str, object], *, resume: bool) -> None:
        rows = _rows(self._file, self.path, self.notes)
        if not rows:
            self._append({"format": FORMAT, "identity": dict(identity)})
            _synced(self.path.parent)
            return
        if not resume:
            message = (
                f"{self.path} holds a collection already ({len(rows) - 1} lines): go on with it by --resume, or "
                "choose another --out"
            )
            raise CalibrationError(message)
        if rows[0].get("format") != FORMAT:
            message = f"{self.path} is not a journal of this version ({FORMAT!r}): choose another --out"
            raise CalibrationError(message)
        _same(self.path, rows[0]["identity"], identity)
        self._units = {row["unit"]: row for row in rows[1:] if "unit" in row}
        self.lost = [row for row in rows[1:] if "unit" not in row]


def finished_units(folder: File) -> dict[str, Mapping[str, Any]]:
    """The finished units of a journal, where there is one; nothing is locked or repaired."""
    path = folder / NAME
    if not path.is_file():
        return {}
    whole = path.read_bytes().split(b"\n")[:-1]
    rows = [_row(path, number, line) for number, line in enumerate(whole, 1)]
    return {row["unit"]: row for row in rows if "unit" in row}


def _written(file: IO[bytes], line: bytes) -> None:
    """The line at the end of the file and on the disk; all of it or, when the disk is full, nothing."""
    end = file.seek(0, os.SEEK_END)
    try:
        rest = memoryview(line)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except OSError as error:
        file.truncate(end)
        message = f"{file.name}: the journal cannot be written ({error}); make room and go on with --resume"
        raise CalibrationError(message) from error


def _rows(file: IO[bytes], path: File, notes: list[str]) -> list[dict[str, Any]]:
    """All whole lines; a torn last one is cut off the file, and that is noted."""
    file.seek(0)
    content = file.read()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        file.truncate(len(whole))
        os.fsync(file.fileno())
        torn = len(content) - len(whole)
        notes.append(f"{path}: the last line was torn ({torn} bytes); it was cut off, its work is done again")
    return [_row(path, number, line) for number, line in enumerate(whole.splitlines(), 1)]


def _row(path: File, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
        kind = next(key for key in ("unit", "note", "format") if key in row)
        return {**row, kind: str(row[kind])}
    except (ValueError, TypeError, StopIteration) as error:
        message = (
            f"{path}:{number}: the journal is damaged ({type(error).__name__}: {error}); restore it, or collect "
            "again with another --out"
        )
        raise CalibrationError(message) from error


def _same(path: File, found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    keys = [key for key in dict.fromkeys([*found, *wanted]) if found.get(key) != wanted.get(key)]
    if keys:
        listed = "\n".join(f"  {key}: {found.get(key)!r} there, {wanted.get(key)!r} now" for key in keys)
        message = f"{path} was collected with other settings; set them back, or choose another --out. What differs:\n{listed}"
        raise CalibrationError(message)


def _synced(folder: File) -> None:
    """The folder's entry of a new file, on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
