"""Processes that are killed, end, or write to one store together lose no call that was acknowledged."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path as File
from typing import Any

import pytest

from adaptive_middleware.trace import schema
from adaptive_middleware.trace.schema import VERSION
from tests.trace.made import everything

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
