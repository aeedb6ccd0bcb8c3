"""Stores of other versions, of other programs, and such as may only be read."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path as File
from typing import Any

import pytest

from adaptive_middleware import Middleware
from adaptive_middleware.errors import TraceError
from adaptive_middleware.trace import schema, writer
from adaptive_middleware.trace.feedback import judge
from adaptive_middleware.trace.reading import one
from adaptive_middleware.trace.schema import STEPS, VERSION, open_to_read
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from tests.trace.made import call, kept, plain_calls


def old_store(file: File) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript(STEPS[0])
        connection.execute(
            "INSERT INTO calls (id, at, seconds, rule, strategy, samples, max_samples, tokens, prm_tokens, fixed_tokens, "
            "degraded, level, details) VALUES ('old', 1e12, 0, 'r', 's', 1, 1, 1, 0, 1, 0, 'none', '{}')"
        )
        connection.execute(f"PRAGMA application_id = {0x414D5754}")
        connection.execute("PRAGMA user_version = 1")


@pytest.mark.parametrize("how", ["read", "written", "judged"])
def test_an_older_store_is_migrated_with_its_calls_and_a_copy_is_left(tmp_path: File, how: str) -> None:
    file = tmp_path / "t.db"
    old_store(file)
    if how == "written":
        plain_calls(file, 1)
    elif how == "judged":
        judge(file, "last", correct=True)
    with closing(open_to_read(file)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == VERSION
        row = connection.execute("SELECT correct FROM calls WHERE id = 'old'").fetchone()
    assert row[0] == (1 if how == "judged" else None)
    with closing(sqlite3.connect(tmp_path / "t.db.v1.bak")) as copy:
        assert copy.execute("SELECT id FROM calls").fetchall() == [("old",)]
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(
    tmp_path: File, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "t.db"
    old_store(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    with kept(file) as (middleware, sink):
        for _ in range(2):
            call(middleware)
            sink.flush()
        assert (sink.written, sink.dropped) == (0, 2)
    newer = r"a trace store of version 99, and this program knows versions up to 3; nothing was changed"
    assert caplog.text.count("version 99") == 1
    with pytest.raises(TraceError, match=newer):
        one(file, "last")
    assert file.read_bytes() == before


def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: File) -> None:
    file = tmp_path / "t.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    before = file.read_bytes()
    with kept(file) as (middleware, sink):
        call(middleware)
        sink.flush()
        assert (sink.written, sink.dropped) == (0, 1)
    with pytest.raises(TraceError, match="a SQLite database, but not a trace store"):
        one(file, "last")
    assert file.read_bytes() == before


class OnlyAsItStands:
    """SQLite where nothing may be written beside a store; `opened` are the places that were asked for."""

    def __init__(self, code: int) -> None:
        self.code, self.opened = code, list[str]()
        self.connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def __call__(self, place: str, **keys: Any) -> sqlite3.Connection:
        self.opened.append(place)
        if "immutable" in place and self.code == sqlite3.SQLITE_CANTOPEN:
            return self.connect(place, **keys)
        error = sqlite3.OperationalError("no such luck")
        error.sqlite_errorcode = self.code
        raise error


def test_a_store_that_may_only_be_read_is_read_as_it_stands(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name,) = plain_calls(tmp_path / "t.db", 1)
    limited = OnlyAsItStands(sqlite3.SQLITE_CANTOPEN)
    monkeypatch.setattr(sqlite3, "connect", limited)
    assert one(tmp_path / "t.db", name).id == name
    assert len(limited.opened) == 2


@pytest.mark.parametrize(("code", "tries"), [(sqlite3.SQLITE_BUSY, 1), (sqlite3.SQLITE_READONLY, 2)])
def test_a_store_that_cannot_be_read_is_a_clear_error(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch, code: int, tries: int
) -> None:
    plain_calls(tmp_path / "t.db", 1)
    limited = OnlyAsItStands(code)
    monkeypatch.setattr(sqlite3, "connect", limited)
    with pytest.raises(TraceError, match=r"cannot be read as a trace store \(no such luck\)"):
        one(tmp_path / "t.db", "last")
    assert len(limited.opened) == tries


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "t.db"
    old_store(file)
    monkeypatch.setattr(
        schema, "STEPS", (STEPS[0], "ALTER TABLE calls ADD COLUMN correct INTEGER; SELECT broken")
    )
    with pytest.raises(TraceError, match="no such column: broken"):
        one(file, "last")
    monkeypatch.undo()
    assert one(file, "last").id == "old"


def test_a_process_that_cannot_write_in_time_ends_all_the_same(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LAST_SECONDS", 0.05)
    monkeypatch.setattr(schema, "BUSY_SECONDS", 1.0)
    file = tmp_path / "t.db"
    plain_calls(file, 1)
    sink = TraceSink(TraceSettings(file, queue=1))
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        call(Middleware(observers=[sink]), 20)
        with pytest.raises(TraceError, match="not all calls"):
            sink.flush(0.01)
        began = time.monotonic()
        sink.close()
        assert time.monotonic() - began < 0.9
        other.execute("COMMIT")
