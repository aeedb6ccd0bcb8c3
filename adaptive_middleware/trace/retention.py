"""Retention: a store forgets calls that are too old, and the oldest ones when it is too large."""

from __future__ import annotations

import sqlite3
from math import ceil

from adaptive_middleware.trace.settings import DAY, TraceSettings

MEGABYTE = 1_000_000
_ROOM = 0.9
"""A store that is too large is brought down to this share of its limit, so that the next call does not make it so again."""


def forget(connection: sqlite3.Connection, settings: TraceSettings, now: float) -> int:
    """Delete what a store need not hold any more, give its pages back, and return the number of calls deleted.

    `now` is in seconds since 1970. A clock that was set back deletes nothing; calls from the future stay.
    """
    before = now - settings.retention_days * DAY
    gone = connection.execute("DELETE FROM calls WHERE at < ?", (before,)).rowcount
    limit = settings.max_mb * MEGABYTE
    if (used := size(connection)) > limit:
        (calls,) = connection.execute("SELECT count(*) FROM calls").fetchone()
        surplus = ceil(calls * (1 - _ROOM * limit / used))
        oldest = "DELETE FROM calls WHERE id IN (SELECT id FROM calls ORDER BY at, id LIMIT ?)"
        gone += connection.execute(oldest, (surplus,)).rowcount
    if gone:
        connection.execute("PRAGMA incremental_vacuum").fetchall()
    return gone


def size(connection: sqlite3.Connection) -> int:
    """Bytes of the file's pages that hold something."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (bytes_of_page,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * bytes_of_page)
