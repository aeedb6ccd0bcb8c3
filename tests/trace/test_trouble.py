"""Whatever the disk does, calls go on; what could not be written is counted and said, and nothing written is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path as File
from typing import Any

import pytest

from adaptive_middleware import Middleware
from adaptive_middleware.errors import TraceError
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.trace import schema, writer
from adaptive_middleware.trace.feedback import judge
from adaptive_middleware.trace.reading import Search, found, one
from adaptive_middleware.trace.schema import STEPS, VERSION, open_to_read
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from tests.trace.made import SUM, everything, kept, plain_calls


def call(middleware: Middleware, n: int = 1) -> None:
    for _ in range(n):
        assert middleware.run(SUM, ScriptedSampler(["4"])).chosen.text == "4"


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
    newer = r"a trace store of version 99, and this program knows versions up to 2; nothing was changed"
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
from tests.trace.test_trouble import call
from tests.trace.made import kept
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


KILLED = """
import sys
import threading
from pathlib import Path
from adaptive_middleware import Middleware
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from tests.trace.made import SUM
sink = TraceSink(TraceSettings(Path(sys.argv[1])))
middleware = Middleware(observers=[sink])
while True:
    ids = [middleware.run(SUM, ScriptedSampler(["4"])).id for _ in range(20)]
    sink.flush()
    print(*ids, sep="\\n", flush=True)
"""


def test_a_kill_while_calls_are_written_loses_none_that_was_acknowledged(tmp_path: File) -> None:
    file = tmp_path / "t.db"
    acknowledged: list[str] = []
    for rounds in range(1, 4):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, file], stdout=subprocess.PIPE, text=True
        ) as writing:
            assert writing.stdout is not None
            acknowledged += [writing.stdout.readline().strip() for _ in range(70 * rounds)]
            writing.send_signal(signal.SIGKILL)
            acknowledged += [line.strip() for line in writing.stdout if line.endswith("\n")]
    written = {row["id"] for row in everything(file)}
    assert len(acknowledged) >= 420
    assert set(acknowledged) <= written
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_calls_in_the_queue_are_written_when_the_process_ends(tmp_path: File) -> None:
    code = (
        KILLED.split("while True", maxsplit=1)[0]
        + 'for _ in range(500):\n    middleware.run(SUM, ScriptedSampler(["4"]))\n'
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "t.db"], check=True, timeout=60)
    assert len(everything(tmp_path / "t.db")) == 500


def test_two_processes_write_to_one_store(tmp_path: File) -> None:
    file = tmp_path / "t.db"
    code = (
        KILLED.split("while True", maxsplit=1)[0]
        + 'for _ in range(300):\n    middleware.run(SUM, ScriptedSampler(["4"]))\n'
    )
    both = [subprocess.Popen([sys.executable, "-c", code, file]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len(everything(file)) == 600


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


@pytest.mark.parametrize("statement", [1, 2, 3, 4])
def test_a_store_that_another_process_makes_meanwhile_is_seen_before_that_or_after_it(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch, statement: int
) -> None:
    file, begun = tmp_path / "t.db", list[str]()
    connect = sqlite3.connect

    def other_process(text: str) -> None:
        begun.append(text)
        if len(begun) == statement:
            monkeypatch.setattr(sqlite3, "connect", connect)
            schema.open_to_write(file).close()

    def watched(*args: Any, **keys: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **keys)
        connection.set_trace_callback(other_process)
        return connection

    monkeypatch.setattr(sqlite3, "connect", watched)
    with closing(schema.open_to_write(file)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_new_store_that_another_process_is_opening_is_waited_for(tmp_path: File) -> None:
    file = tmp_path / "t.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.2, other.execute, ["COMMIT"])
    release.start()
    schema.open_to_write(file).close()
    release.join()
    other.close()
