"""The store as its writer sees it: rows go in, whatever the disk does; a damaged file is set aside."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path as File

from adaptive_middleware.trace.retention import forget
from adaptive_middleware.trace.schema import open_to_write
from adaptive_middleware.trace.settings import TraceSettings

FORGET_EVERY = 1000
"""Rows after which the limits of the store are looked at again; they are looked at when it is opened, too."""
_SIDE = ("", "-wal", "-shm")


class StoreFile:
    """The file of a store, opened at the first row and after trouble; for one thread."""

    def __init__(self, settings: TraceSettings) -> None:
        self.settings = settings
        self._connection: sqlite3.Connection | None = None
        self._since = 0

    def add(self, rows: Sequence[Mapping[str, object]]) -> int:
        """Write all of `rows` or none, and return how many were new; they are in the file when this returns.

        A file that is damaged is renamed (`NAME.corrupt-SECONDS`) and a new one begun. Raises `sqlite3.Error`, `OSError` or
        `TraceError` when the rows cannot be written.
        """
        try:
            return self._added(rows)
        except sqlite3.DatabaseError as error:
            self.close()
            if not _damaged(error):
                raise
            self._set_aside()
            return self._added(rows)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; a later row opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _added(self, rows: Sequence[Mapping[str, object]]) -> int:
        connection = self._opened()
        if self._since >= FORGET_EVERY:
            self._since = 0
            forget(connection, self.settings, time.time())
        connection.execute("BEGIN IMMEDIATE")
        try:
            added = sum(connection.execute(_insert(row), row).rowcount for row in rows)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        self._since += len(rows)
        return added

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_to_write(self.settings.path)
            self._since = FORGET_EVERY
        return self._connection

    def _set_aside(self) -> None:
        path, mark = self.settings.path, f".corrupt-{time.time():.0f}"
        for side in _SIDE:
            with suppress(FileNotFoundError):
                File(f"{path}{side}").rename(f"{path}{mark}{side}")


def _damaged(error: sqlite3.DatabaseError) -> bool:
    exact = type(error) is sqlite3.DatabaseError  # its children are other trouble, and may have no code
    return exact and error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _insert(row: Mapping[str, object]) -> str:
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    return f"INSERT INTO calls ({names}) VALUES ({values}) ON CONFLICT (id) DO NOTHING"  # noqa: S608 - our own columns
