"""F23 to F25: the store of kept calls is on a full disk, locked, damaged, read-only, older or newer, or slower than the calls."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path as FilePath
from typing import Any

import pytest

from adaptive_middleware import Middleware, Request, best_of_n, fixed
from adaptive_middleware.testing import ScriptedSampler, TableScorer
from adaptive_middleware.trace import schema
from adaptive_middleware.trace.file import StoreFile
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from adaptive_middleware.types import Path, StepScores
from tests.faults.world import alone, within
from tests.trace.made import everything

pytestmark = pytest.mark.fault

ASKED = Request("What is 2 + 2?")


@contextmanager
def keeping(file: FilePath, **settings: Any) -> Iterator[tuple[Middleware, TraceSink]]:
    """A middleware whose calls are kept in `file`."""
    sink = TraceSink(TraceSettings(file, **settings))
    try:
        yield Middleware(best_of_n(fixed(2)), scorer=TableScorer(0.5), observers=[sink]), sink
    finally:
        sink.close()


def called(middleware: Middleware, times: int = 1) -> None:
    """Calls that must all be answered as if nothing were wrong."""
    for _ in range(times):
        with within(5.0) as ends:
            outcome = middleware.run(Request(ASKED.text, deadline=ends), ScriptedSampler(["4"]))
        assert (outcome.chosen.text, outcome.degraded, outcome.usage.requests) == ("4", (), 2)


def whole(file: FilePath) -> bool:
    with closing(sqlite3.connect(file)) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",))


@pytest.fixture
def small_disk(tmp_path: FilePath) -> Iterator[FilePath]:
    """A file system of one megabyte."""
    disk, mount = tmp_path / "disk", shutil.which("mount")
    disk.mkdir()
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root mounts a file system; tests/trace/test_trouble.py fills a disk without it")
    tried = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False
    )
    if tried.returncode:
        pytest.skip("no file system can be mounted here; tests/trace/test_trouble.py fills a disk without it")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)  # noqa: S607 - as mount


def test_f23_a_full_disk_costs_traces_and_not_calls_and_is_written_to_again(
    small_disk: FilePath, caplog: pytest.LogCaptureFixture
) -> None:
    file, ballast = small_disk / "t.db", small_disk / "ballast"
    with keeping(file) as (middleware, sink):
        called(middleware, 3)
        sink.flush()
        ballast.write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize - 4096))
        while not sink.dropped:
            called(middleware, 20)
            sink.flush()
        written = sink.written
        assert "not written down" in caplog.text
        ballast.unlink()
        called(middleware, 5)
        sink.flush()
        assert sink.written == written + 5
    assert whole(file)
    assert len(everything(file)) == written + 5
    warnings = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert 1 <= len(warnings) <= 3  # one of each kind of trouble, not one of each call


def test_f24_a_locked_store_holds_no_call_up(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.02)
    file = tmp_path / "t.db"
    with keeping(file) as (middleware, sink):
        called(middleware)
        sink.flush()
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            called(middleware, 20)
            sink.flush()
            other.execute("COMMIT")
        assert sink.dropped == 20
        called(middleware)
        sink.flush()
    assert len(everything(file)) == 2


def test_f24_a_damaged_store_is_set_aside_and_a_new_one_begun(tmp_path: FilePath) -> None:
    file = tmp_path / "t.db"
    garbage = os.urandom(50_000)
    file.write_bytes(garbage)
    with keeping(file) as (middleware, sink):
        called(middleware, 3)
        sink.flush()
        assert (sink.written, sink.dropped) == (3, 0)
    (aside,) = tmp_path.glob("t.db.corrupt-*")
    assert aside.read_bytes() == garbage
    assert whole(file)


def test_f24_a_place_that_cannot_be_written_costs_traces_and_not_calls(tmp_path: FilePath) -> None:
    (tmp_path / "folder").write_text("this is a file")
    with keeping(tmp_path / "folder" / "t.db") as (middleware, sink):
        called(middleware, 3)
        sink.flush()
        assert (sink.written, sink.dropped) == (0, 3)


def test_f24_a_store_of_a_newer_version_is_left_as_it_is(tmp_path: FilePath) -> None:
    file = tmp_path / "t.db"
    with keeping(file) as (middleware, sink):
        called(middleware)
        sink.flush()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 999")
        connection.commit()
    with keeping(file) as (middleware, sink):
        called(middleware, 2)
        sink.flush()
        assert (sink.written, sink.dropped) == (0, 2)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (1,)


async def test_f25_a_store_that_is_too_slow_drops_and_never_waits(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, add = threading.Event(), StoreFile.add

    def slow(file: StoreFile, rows: Sequence[Any]) -> int:
        go.wait(30)
        return add(file, rows)

    monkeypatch.setattr(StoreFile, "add", slow)
    with keeping(tmp_path / "t.db", queue=10) as (middleware, sink):

        async def calls() -> None:
            for _ in range(200):
                outcome = await middleware.arun(ASKED, ScriptedSampler(["4"]))
                assert (outcome.chosen.text, outcome.degraded) == ("4", ())

        began = time.monotonic()
        await alone(calls)
        assert time.monotonic() - began < 20
        assert sink.dropped >= 200 - 10 - 256
        go.set()
        await asyncio.to_thread(sink.flush)
        assert sink.written + sink.dropped == 200
        assert sink.written >= 10


def test_the_one_record_of_a_fault_names_its_cause(tmp_path: FilePath) -> None:
    class Gone:
        def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
            message = "the socket is closed"
            raise OSError(message)

    file = tmp_path / "t.db"
    sink = TraceSink(TraceSettings(file))
    Middleware(best_of_n(fixed(2)), scorer=Gone(), observers=[sink]).run(ASKED, ScriptedSampler(["4"]))
    sink.flush()
    sink.close()
    (row,) = everything(file)
    assert "OSError: the socket is closed" in str(row)
