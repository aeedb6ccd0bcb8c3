"""SQLite's write-ahead log, turned on for a file that other processes may be opening at the same moment."""

from __future__ import annotations

import sqlite3
import time

_AGAIN = 0.005


def write_ahead(connection: sqlite3.Connection, seconds: float) -> None:
    """Turn the write-ahead log on, within `seconds`.

    SQLite waits for a lock before every statement but this one: two processes that do it to a new file at once are refused at
    once, whatever time-out the connection has. Raises `sqlite3.OperationalError` when the file stays locked, and for
    everything else that is wrong with it.
    """
    ends = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= ends:
                raise
            time.sleep(_AGAIN)
        else:
            return
