from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.errors import BudgetUnavailable
from tests.budget.asks import ask, line, numbers, spent

WORKER = """
import sys
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.budget.store import Ask, Line, Settlement
store, taken = SqliteStore(sys.argv[1], busy=30.0), 0
for turn in range(100):
    hold = f"{sys.argv[2]}.{turn}"
    if store.reserve(Ask((hold,), (Line("a", 120, 3, 1, 4e9),), 60.0)).holds:
        store.settle([Settlement(hold, (1,))])
        taken += 1
print(taken)
"""
CRASH = """
import os, signal, sys
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.budget.store import Ask, Line, Settlement
store = SqliteStore(sys.argv[1])
for turn in range(10_000):
    store.reserve(Ask((f"h{turn}",), (Line("a", 10**9, 3, 2, 4e9),), 60.0))
    if turn == 50:
        os.kill(os.getpid(), signal.SIGKILL)
    store.settle([Settlement(f"h{turn}", (1,))])
    os.write(1, b"+")
"""


def started(program: str, *words: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program, *map(str, words)], stdout=subprocess.PIPE)


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_together_spend_exactly_what_they_settled(tmp_path: Path, processes: int) -> None:
    workers = [started(WORKER, tmp_path / "b.db", str(i)) for i in range(processes)]
    taken = sum(int(worker.communicate(timeout=60)[0]) for worker in workers)
    store = SqliteStore(tmp_path / "b.db")
    assert numbers(store) == [(taken, 0)]
    assert 120 - 3 * processes < taken <= 120
    store.close()


def test_kill_9_loses_no_acknowledged_settlement_and_its_open_hold_heals_at_once(tmp_path: Path) -> None:
    acknowledged = len(started(CRASH, tmp_path / "b.db").communicate(timeout=60)[0])
    store = SqliteStore(tmp_path / "b.db")
    assert (acknowledged, numbers(store)) == (50, [(50, 3)])
    assert store.heal() == 1
    assert numbers(store) == [(50 + 2, 0)]
    assert store.heal() == 0
    store.close()


def test_a_hold_heals_when_its_lease_runs_out_and_a_late_settlement_counts_instead(tmp_path: Path) -> None:
    now = [1000.0]
    store = SqliteStore(tmp_path / "b.db", clock=lambda: now[0])
    store.reserve(ask("slow", "other", lease=60.0))
    now[0] += 59.0
    assert store.heal() == 0
    now[0] += 2.0
    assert store.heal() == 2
    assert numbers(store) == [(2, 0)]
    store.settle([spent("slow", 7)])
    store.settle([spent("slow", 9)])
    assert numbers(store) == [(7 + 1, 0)]
    store.close()


def test_a_hold_of_an_earlier_boot_heals_although_its_clock_began_anew(tmp_path: Path) -> None:
    before = SqliteStore(tmp_path / "b.db", name="0000-earlier-boot:1:7:5", clock=lambda: 9e9)
    before.reserve(ask("h"))
    before.close()
    after = SqliteStore(tmp_path / "b.db", clock=lambda: 1.0)
    assert after.heal() == 1
    assert numbers(after) == [(1, 0)]
    after.close()


def test_a_full_account_is_healed_before_a_call_is_refused(tmp_path: Path) -> None:
    before = SqliteStore(tmp_path / "b.db", name="0000-earlier-boot:1:7:5")
    assert len(before.reserve(ask(*map(str, range(10)))).holds) == 10
    before.close()
    after = SqliteStore(tmp_path / "b.db")
    assert len(after.reserve(ask(*"abcdefghij")).holds) == 9, "ten floors of 1 are spent"
    after.close()


def test_past_accounts_and_healed_holds_are_forgotten_when_the_file_is_opened(tmp_path: Path) -> None:
    now = [0.0]
    store = SqliteStore(tmp_path / "b.db", clock=lambda: now[0])
    old = line("old")
    store.reserve(ask("h", lines=(type(old)("old", 100, 10, 1, 5.0),), lease=1.0))
    now[0] = 2.0
    assert store.heal() == 1
    store.close()
    now[0] = 200_000.0
    assert numbers(store, "old") == [(0, 0)]
    store.settle([spent("h", 9)])
    assert numbers(store, "old") == [(0, 0)]
    store.close()


def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=2")
    db.close()
    with pytest.raises(BudgetUnavailable, match=r"newer version \(schema 2, known: 1\)"):
        SqliteStore(path).heal()


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look at", b"SQLite format 3\0" + b"x" * 200]
)
def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.db"
    path.write_bytes(content)
    with pytest.raises(BudgetUnavailable, match=r"b\.db"):
        SqliteStore(path).reserve(ask("h"))
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BudgetUnavailable, match="check that it is writable"):
        SqliteStore(tmp_path / "missing" / "b.db").reserve(ask("h"))


def test_a_locked_file_is_waited_for_and_then_named(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "b.db", busy=0.05)
    store.heal()
    other = sqlite3.connect(tmp_path / "b.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BudgetUnavailable, match="locked"):
        store.reserve(ask("h"))
    other.execute("ROLLBACK")
    other.close()
    assert store.reserve(ask("h")).holds == ("h",)
    store.close()


def test_a_new_file_that_another_process_is_opening_is_waited_for(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "b.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.2, other.execute, ["COMMIT"])
    release.start()
    store = SqliteStore(tmp_path / "b.db")
    store.reserve(ask("h"))
    assert numbers(store) == [(0, 10)]
    store.close()
    release.join()
    other.close()


def test_a_full_disk_refuses_calls_and_what_was_counted_stays(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "b.db")
    store.reserve(ask("h"))
    store.settle([spent("h", 4)])
    connection = store._connection()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    many = ask("x", lines=tuple(line(f"account {i}") for i in range(5000)))
    with pytest.raises(BudgetUnavailable, match="full"):
        store.reserve(many)
    assert numbers(store) == [(4, 0)]
    store.close()
