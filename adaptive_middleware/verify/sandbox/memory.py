"""A process and all that it started, by `/proc`: their memory, and their end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ROUNDS = 8
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident_bytes(pid: int) -> int:
    """Bytes that the process `pid` and its descendants hold, shared pages counted once for each; 0 without `/proc`."""
    return sum(_resident(one) for one in _tree(pid))


def end_descendants(pid: int) -> None:
    """Kill what `pid` started and what that started, until nothing is left or nothing more can be done."""
    for _ in range(_ROUNDS):
        left = list(_tree(pid))[1:]
        if not left:
            return
        for one in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(one, signal.SIGKILL)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in _listed(f"/proc/{pid}/task"):
        for child in _read(f"/proc/{pid}/task/{task}/children").split():
            yield from _tree(int(child))


def _resident(pid: int) -> int:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE if len(fields) > 1 else 0


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - called every 50 ms for each sandbox
    except OSError:
        return []


def _read(file: str) -> str:
    try:
        return Path(file).read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
