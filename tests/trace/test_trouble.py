"""Whatever the disk does, calls go on; what could not be written is counted and said, and nothing written is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path as File

import pytest

from adaptive_middleware import Middleware
from adaptive_middleware.errors import TraceError
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.trace import schema, writer
from adaptive_middleware.trace.feedback import judge
from adaptive_middleware.trace.reading import Search, found, one
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from tests.trace.made import SUM, call, everything, kept, plain_calls


def test_a_full_queue_drops_and_counts_and_never_waits(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 30.0)
    file = tmp_path / "t.db"
    plain_calls(file, 1)
    sink = TraceSink(TraceSettings(file, queue=3))
    middleware = Middleware(observers=[sink])
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        call(middleware, 50)
        assert time.monotonic() - began < 5
        with pytest.raises(TraceError, match=r"not all calls were written down within 0\.05 s"):
            sink.flush(0.05)
        other.execute("COMMIT")
    sink.flush()
    assert sink.written + sink.dropped == 50
    assert sink.dropped >= 50 - 3 - 3
    assert caplog.text.count("the queue is full") == 1
    sink.close()
    assert len(everything(file)) == 1 + sink.written


def test_the_same_trouble_is_said_again_only_after_a_while(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (tmp_path / "home").touch()
    for quiet, times in ((60.0, 1), (0.0, 3)):
        monkeypatch.setattr(writer, "QUIET_SECONDS", quiet)
        caplog.clear()
        with kept(tmp_path / "home" / f"{quiet}.db") as (middleware, sink):
            for _ in range(3):
                call(middleware)
                sink.flush()
        assert caplog.text.count("not written down") == times
    assert "again" not in caplog.text


def test_a_locked_store_costs_traces_and_not_calls_and_is_written_again_later(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.02)
    file = tmp_path / "t.db"
    with kept(file) as (middleware, sink):
        call(middleware)
        sink.flush()
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(3):
                call(middleware)
                sink.flush()
            assert (sink.written, sink.dropped) == (1, 3)
            other.execute("COMMIT")
        call(middleware)
        sink.flush()
        assert (sink.written, sink.dropped) == (2, 3)
    assert caplog.text.count("database is locked") == 1
    assert "written down again; 3 were not" in caplog.text


def test_a_damaged_store_is_set_aside_and_a_new_one_begun(tmp_path: File) -> None:
    file = tmp_path / "t.db"
    garbage = b"this is no database, but it was something" * 200
    file.write_bytes(garbage)
    (name,) = plain_calls(file, 1)
    assert one(file, name).id == name
    (aside,) = tmp_path.glob("t.db.corrupt-*")
    assert aside.read_bytes() == garbage


def test_a_store_that_is_damaged_while_it_is_used_is_set_aside(tmp_path: File) -> None:
    file = tmp_path / "t.db"
    plain_calls(file, 300)
    with file.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(os.urandom(file.stat().st_size - 4096))
    (name,) = plain_calls(file, 1)
    assert [each.id for each in found(file, Search())] == [name]
    assert list(tmp_path.glob("t.db.corrupt-*"))


def test_a_damaged_store_is_a_clear_error_to_who_reads_it(tmp_path: File) -> None:
    file = tmp_path / "t.db"
    file.write_bytes(b"garbage" * 1000)
    with pytest.raises(
        TraceError, match=r"t\.db: cannot be read as a trace store \(file is not a database\)"
    ):
        one(file, "last")
    plain_calls(tmp_path / "u.db", 300)
    with (tmp_path / "u.db").open("r+b") as damaged:
        damaged.seek(8192)
        damaged.write(b"\xff" * ((tmp_path / "u.db").stat().st_size - 8192))
    with pytest.raises(TraceError, match=r"u\.db: .* cannot be read"):
        list(found(tmp_path / "u.db", Search()))
    with pytest.raises(TraceError, match=r"u\.db: .* cannot be read"):
        one(tmp_path / "u.db", "0000")


def test_details_that_are_damaged_are_a_clear_error(tmp_path: File) -> None:
    (name,) = plain_calls(tmp_path / "t.db", 1)
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection:
        connection.execute("UPDATE calls SET details = '{'")
        connection.commit()
    with pytest.raises(TraceError, match=f"what is kept of call {name} is damaged"):
        one(tmp_path / "t.db", name)


def test_a_home_that_cannot_be_written_costs_traces_and_not_calls(
    tmp_path: File, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "home").write_text("a file where the folder should be")
    with kept(tmp_path / "home" / "state" / "t.db") as (middleware, sink):
        call(middleware, 3)
        sink.flush()
        assert (sink.written, sink.dropped) == (0, 3)
    assert caplog.text.count("NotADirectoryError") == 1
    with pytest.raises(TraceError, match="no trace store there"):
        one(tmp_path / "home" / "state" / "t.db", "last")


def test_one_call_that_cannot_be_written_keeps_no_other_from_it(
    tmp_path: File, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "t.db"
    sink = TraceSink(TraceSettings(file))
    outcome = Middleware(observers=[sink]).run(SUM, ScriptedSampler(["4"]))
    sink.flush()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        call(Middleware(observers=[sink]))
        sink.ended(SUM, outcome, object())  # type: ignore[arg-type]
        call(Middleware(observers=[sink]), 2)
        other.execute("COMMIT")
    sink.flush()
    assert (sink.written, sink.dropped) == (4, 1)
    assert "a call cannot be written down" in caplog.text
    sink.close()


def test_what_came_of_a_call_is_refused_clearly_when_it_cannot_be_written(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.02)
    file = tmp_path / "t.db"
    (name,) = plain_calls(file, 1)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            TraceError, match=rf"what came of call {name} cannot be written down \(database is locked\)"
        ):
            judge(file, name, correct=True)


FULL = """
import logging, resource, sys
from pathlib import Path
from tests.trace.made import call, kept
resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, -1))
with kept(Path(sys.argv[1])) as (middleware, sink):
    for _ in range(40):
        call(middleware, 20)
        sink.flush()
    kept_before, dropped = sink.written, sink.dropped
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    call(middleware, 5)
    sink.flush()
    print(kept_before, dropped, sink.written, sink.dropped)
"""


def test_a_full_disk_costs_traces_and_not_calls_and_the_store_stays_whole(tmp_path: File) -> None:
    file = tmp_path / "t.db"
    done = subprocess.run(
        [sys.executable, "-c", FULL, file], capture_output=True, text=True, check=True, timeout=100
    )
    before, dropped, after, still = map(int, done.stdout.split())
    assert before > 0
    assert dropped > 0
    assert (before + dropped, after, still) == (800, before + 5, dropped)
    assert "not written down" in done.stderr
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(everything(file)) == after
