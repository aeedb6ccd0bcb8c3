"""The SQLite file of a store: opened, brought to this version, and refused where a newer version made it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path as File
from urllib.parse import quote

from adaptive_middleware.errors import TraceError
from adaptive_middleware.write_ahead import write_ahead

STEPS = (
    """
    CREATE TABLE calls (
        id TEXT PRIMARY KEY, at REAL NOT NULL, seconds REAL NOT NULL,
        rule TEXT NOT NULL, strategy TEXT NOT NULL, model TEXT, call_site TEXT, run_id TEXT,
        p REAL, lower REAL, samples INTEGER NOT NULL, max_samples INTEGER NOT NULL,
        tokens INTEGER NOT NULL, prm_tokens INTEGER NOT NULL, fixed_tokens INTEGER NOT NULL, usd REAL,
        degraded INTEGER NOT NULL, verified INTEGER, level TEXT NOT NULL, question TEXT, details TEXT NOT NULL
    );
    CREATE INDEX calls_at ON calls (at);
    """,
    """
    ALTER TABLE calls ADD COLUMN correct INTEGER;
    ALTER TABLE calls ADD COLUMN judged_at REAL;
    """,
    """
    ALTER TABLE calls ADD COLUMN unanswered TEXT;
    CREATE INDEX calls_unanswered ON calls (at) WHERE unanswered IS NOT NULL;
    """,
)
"""What makes version n of version n - 1; the first one makes version 1 of an empty file."""

VERSION = len(STEPS)
BUSY_SECONDS = 5.0
_MARK = 0x414D5754
"""`PRAGMA application_id` of a store: the letters AMWT."""
_WHAT = """
    SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master)
    FROM pragma_user_version, pragma_application_id
"""


def open_to_write(file: File) -> sqlite3.Connection:
    """A connection to the store in `file`, made or migrated where needed; readable by its owner only.

    An older store is copied to `NAME.v1.bak` (its version) before it is migrated. Raises `TraceError` for a store of a
    newer version and for another program's database, `sqlite3.Error` and `OSError` for what the file itself does not allow.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        _prepare(connection, file)
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(file: File) -> sqlite3.Connection:
    """A connection that only reads. Raises `TraceError` with what to do: no file, not a store, a newer or older version."""
    if not file.is_file():
        message = f"{file}: no trace store there; name one by --store, or keep one by `trace:` in a configuration (docs/traces.md)"
        raise TraceError(message)
    try:
        connection = _reading(file)
    except (sqlite3.Error, OSError) as error:
        message = (
            f"{file}: cannot be read as a trace store ({error}); see docs/traces.md#when-something-is-wrong"
        )
        raise TraceError(message) from error
    connection.row_factory = sqlite3.Row
    return connection


def _reading(file: File) -> sqlite3.Connection:
    """Read-only; where not even the lock files beside a store may be written, the file as it stands."""
    try:
        connection, found = _opened(file, "mode=ro")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
            raise
        connection, found = _opened(file, "mode=ro&immutable=1")
    if found == VERSION:
        return connection
    connection.close()
    open_to_write(file).close()
    return _reading(file)


def _opened(file: File, mode: str) -> tuple[sqlite3.Connection, int]:
    place = f"file:{quote(str(file))}?{mode}"
    connection = sqlite3.connect(place, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        return connection, _version(connection, file)
    except BaseException:
        connection.close()
        raise


def _prepare(connection: sqlite3.Connection, file: File) -> None:
    found = _version(connection, file)
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    if found == VERSION:
        return
    if not found:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    else:
        _copied(connection, file.with_name(f"{file.name}.v{found}.bak"))
    write_ahead(connection, BUSY_SECONDS)
    connection.execute("BEGIN IMMEDIATE")
    try:
        _migrate(connection, _version(connection, file))
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    for step in STEPS[version:]:
        for statement in filter(str.strip, step.split(";")):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_MARK}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _version(connection: sqlite3.Connection, file: File) -> int:
    """The version of the store, 0 for an empty file."""
    # One statement, so that a store which another process is just making is seen before that or after it, never halfway.
    version, mark, tables = connection.execute(_WHAT).fetchone()
    if mark != _MARK and tables:
        message = f"{file}: a SQLite database, but not a trace store; choose another file"
        raise TraceError(message)
    if version > VERSION:
        message = (
            f"{file}: a trace store of version {version}, and this program knows versions up to {VERSION}; "
            "nothing was changed: upgrade adaptive-middleware, or choose another file"
        )
        raise TraceError(message)
    return int(version)


def _copied(connection: sqlite3.Connection, target: File) -> None:
    os.close(os.open(target, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)
