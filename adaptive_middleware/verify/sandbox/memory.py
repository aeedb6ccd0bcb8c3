"""A process and all that it started, by `/proc`: their memory, and their end."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ROUNDS = 8
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident_bytes(pid: int) -> int:
    """Bytes that the process `pid` and its descendants hold, shared pages counted once for each; 0 without `/proc`.

    Files without a name that they have open count too, once: such a file in memory holds what no process has mapped.
    """
    every = list(_tree(pid))
    files = {key: size for one in every for key, size in _nameless(one)}
    return sum(map(_resident, every)) + sum(files.values())


def processes(pid: int) -> int:
    """How many processes there are: `pid` and its descendants."""
    return sum(1 for _ in _tree(pid))


def end_descendants(pid: int) -> None:
    """Kill what `pid` started and what that started, until nothing is left or nothing more can be done."""
    for _ in range(_ROUNDS):
        left = list(_tree(pid))[1:]
        if not left:
            return
        for one in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(one, signal.SIGKILL)


def named(file: str) -> int:
    """The process that a file names; 0 where there is no such file, or nothing in it yet."""
    word = _read(file).strip() if file else ""
    return int(word) if word.isdigit() else 0


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in _listed(f"/proc/{pid}/task"):
        for child in _read(f"/proc/{pid}/task/{task}/children").split():
            yield from _tree(int(child))


def _resident(pid: int) -> int:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE if len(fields) > 1 else 0


def _nameless(pid: int) -> Iterator[tuple[tuple[int, int], int]]:
    for number in _listed(f"/proc/{pid}/fd"):
        with suppress(OSError):
            found = os.stat(f"/proc/{pid}/fd/{number}")  # noqa: PTH116 - called every 50 ms for each sandbox
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                yield (found.st_dev, found.st_ino), 512 * found.st_blocks


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - called every 50 ms for each sandbox
    except OSError:
        return []


def _read(file: str) -> str:
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
