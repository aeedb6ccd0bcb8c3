"""What is kept of calls, where, and for how long."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as File
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["none", "hash", "redacted", "full"]
"""What is kept of texts: nothing, their hashes, the texts without personal data, or the texts.

Credentials are taken out at every level.
"""

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """A store's file, what it keeps of texts, and its limits.

    Calls older than `retention_days` are deleted, and the oldest ones when the file holds more than `max_mb` megabytes
    (10^6 bytes). `queue` is the most calls that wait to be written; what comes on top of them is counted and not kept.
    """

    path: File
    level: Level = "redacted"
    retention_days: float = 90.0
    max_mb: float = 1000.0
    queue: int = 10_000


def default_place(environment: Mapping[str, str] | None = None) -> File:
    """Where a store is unless something else is said: `adaptive-middleware/traces.db` in the user's state folder.

    >>> default_place({"XDG_STATE_HOME": "/var/lib/me"}).as_posix()
    '/var/lib/me/adaptive-middleware/traces.db'
    """
    found = os.environ if environment is None else environment
    state = found.get("XDG_STATE_HOME") or File(found.get("HOME") or File.home(), ".local", "state")
    return File(state, "adaptive-middleware", "traces.db")
