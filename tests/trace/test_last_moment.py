"""A process that is ending begins no threads any more: calls that end then are written when they are offered."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path as File

import pytest

from adaptive_middleware.trace import schema
from adaptive_middleware.trace.reading import Search, found
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from adaptive_middleware.types import Outcome, Path
from tests.trace.made import SUM


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_self: threading.Thread) -> None:
        message = "can't create new thread at interpreter shutdown"
        raise RuntimeError(message)

    monkeypatch.setattr(threading.Thread, "start", refused)


@pytest.mark.usefixtures("ending")
def test_calls_that_end_then_are_written_at_once(tmp_path: File) -> None:
    sink = TraceSink(TraceSettings(tmp_path / "t.db"))
    for name in "ab":
        sink.ended(SUM, Outcome(Path(("4",)), id=name * 36), 0.1)
    assert (sink.written, sink.dropped) == (2, 0)
    sink.flush()
    sink.close()
    assert {call.id for call in found(tmp_path / "t.db", Search())} == {"a" * 36, "b" * 36}


@pytest.mark.usefixtures("ending")
def test_what_cannot_be_written_then_is_counted(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.05)
    sink = TraceSink(TraceSettings(tmp_path / "t.db"))
    sink.ended(SUM, Outcome(Path(("4",)), id="a" * 36), 0.1)
    sink.close()
    with closing(sqlite3.connect(tmp_path / "t.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        sink.ended(SUM, Outcome(Path(("4",)), id="b" * 36), 0.1)
        assert (sink.written, sink.dropped) == (0, 1)
        other.execute("ROLLBACK")
    sink.close()
