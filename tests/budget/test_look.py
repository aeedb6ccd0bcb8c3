"""Looks at a store: all that is spent and reserved is seen, nothing is written, and nobody waits."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from adaptive_middleware.budget import look as looks
from adaptive_middleware.budget import redis_look
from adaptive_middleware.budget.look import Look, Looking, SqliteLook
from adaptive_middleware.budget.owners import machine, owner
from adaptive_middleware.budget.redis_look import RedisLook
from adaptive_middleware.budget.redis_store import RedisStore
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.budget.store import Balance, BudgetStore
from adaptive_middleware.errors import BudgetUnavailable
from tests.budget.asks import ask, line, spent


def every(_key: str) -> bool:
    return True


@pytest.fixture(params=["sqlite", "redis"])
def seen(request: pytest.FixtureRequest) -> tuple[BudgetStore, Looking]:
    if request.param == "sqlite":
        store: SqliteStore = request.getfixturevalue("sqlite_store")
        return store, SqliteLook(Path(store.path))
    redis: RedisStore = request.getfixturevalue("redis_store")
    return redis, RedisLook(redis._client, redis._prefix)


def test_what_is_settled_and_held_is_seen_with_whose_call_it_is(seen: tuple[BudgetStore, Looking]) -> None:
    store, looking = seen
    both = line("a"), line("b", each=20)
    store.reserve(ask("one.0", "one.1", lines=both, lease=900.0))
    store.reserve(ask("two.0", lines=both[:1], lease=100.0))
    store.settle([spent("one.0", 7, 3)])
    found = looking.look(every)
    assert found.accounts == {"a": Balance(7, 20), "b": Balance(3, 20)}
    assert [(one.call, one.answers, one.held) for one in found.reserved] == [
        ("two", 1, {"a": 10}),
        ("one", 1, {"a": 10, "b": 20}),
    ]
    assert found.calls == 2
    assert all(one.ends_in is not None and 0 < one.ends_in < 1000 for one in found.reserved)


def test_nothing_is_reserved_once_calls_have_ended(seen: tuple[BudgetStore, Looking]) -> None:
    store, looking = seen
    store.reserve(ask("one.0", "one.1"))
    store.settle([spent("one.0", 7), spent("one.1", 8)])
    assert looking.look(every) == Look({"a": Balance(15, 0)})


def test_only_accounts_that_are_wanted_are_brought(seen: tuple[BudgetStore, Looking]) -> None:
    store, looking = seen
    store.reserve(ask("one.0", lines=(line("a"), line("b"))))
    assert list(looking.look(lambda key: key == "b").accounts) == ["b"]


def test_a_look_is_bounded_and_says_how_much_it_left_out(
    seen: tuple[BudgetStore, Looking], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, looking = seen
    for module in (looks, redis_look):
        monkeypatch.setattr(module, "ACCOUNTS", 2)
        monkeypatch.setattr(module, "CALLS", 1)
    for n in range(3):
        store.reserve(ask(f"c{n}.0", lines=(line(f"a{n}"),)))
    found = looking.look(every)
    assert (len(found.accounts), found.more, len(found.reserved), found.calls) == (2, 1, 1, 3)


def test_a_file_that_is_not_there_has_counted_nothing_and_is_not_made(tmp_path: Path) -> None:
    assert SqliteLook(tmp_path / "none.db").look(every) == Look()
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_tables_has_counted_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    assert SqliteLook(tmp_path / "empty.db").look(every) == Look()


def test_a_look_neither_waits_for_a_writer_nor_keeps_one_waiting(sqlite_store: SqliteStore) -> None:
    sqlite_store.reserve(ask("one.0"))
    found: list[Look] = []
    with closing(sqlite3.connect(sqlite_store.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE accounts SET settled = 99")
        thread = threading.Thread(
            target=lambda: found.append(SqliteLook(Path(sqlite_store.path)).look(every))
        )
        thread.start()
        thread.join(20)
        writer.execute("COMMIT")
    assert [one.accounts for one in found] == [{"a": Balance(0, 10)}]


def test_reservations_of_a_process_that_ended_are_told_apart(tmp_path: Path) -> None:
    boot, namespace, process, _ = owner().split(":")
    dead = SqliteStore(tmp_path / "b.db", name=f"{boot}:{namespace}:{process}:1")
    dead.reserve(ask("dead.0"))
    alive = SqliteStore(tmp_path / "b.db")
    alive.reserve(ask("alive.0"))
    found = SqliteLook(tmp_path / "b.db").look(every).reserved
    assert {one.call: (one.gone, one.process) for one in found} == {
        "alive": (False, process),
        "dead": (True, process),
    }
    dead.close()
    alive.close()


def test_a_lease_of_another_boot_cannot_be_told(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "b.db", name="another-boot:1:2:3", died=lambda _: False)
    store.reserve(ask("one.0"))
    store.close()
    (found,) = SqliteLook(tmp_path / "b.db").look(every).reserved
    assert machine(owner()) != "another-boot"
    assert found.ends_in is None


def test_the_time_of_a_lease_is_what_is_left_of_it(sqlite_store: SqliteStore) -> None:
    now = time.monotonic()
    sqlite_store.reserve(ask("one.0", lease=600.0))
    (found,) = SqliteLook(Path(sqlite_store.path), clock=lambda: now + 100).look(every).reserved
    assert found.ends_in is not None
    assert 499 < found.ends_in < 560


def test_a_newer_file_and_a_damaged_one_are_refused_by_name(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "new.db")) as made:
        made.execute("PRAGMA user_version = 99")
    (tmp_path / "bad.db").write_bytes(b"no database at all" * 100)
    for name, words in (("new", "newer version"), ("bad", "cannot be read")):
        with pytest.raises(BudgetUnavailable, match=rf"{name}\.db' .*{words}"):
            SqliteLook(tmp_path / f"{name}.db").look(every)


def test_accounts_that_redis_has_forgotten_and_holds_just_settled_are_left_out(
    redis_store: RedisStore,
) -> None:
    redis_store.reserve(ask("one.0", lines=(line("a"), line("b"))))
    prefix = redis_store._prefix
    redis_store._client.delete(f"{prefix}:account:a", f"{prefix}:hold:one.0")
    found = RedisLook(redis_store._client, prefix).look(every)
    assert (found.accounts, found.reserved) == ({"b": Balance(0, 10)}, ())


def test_a_redis_that_is_not_there_is_unavailable() -> None:
    pytest.importorskip("redis", reason="the package redis is not installed (extra redis)")
    with pytest.raises(BudgetUnavailable, match="cannot be used"):
        RedisLook.at("redis://127.0.0.1:1/0", seconds=0.2).look(every)


def test_store_and_look_mean_the_same_keys_by_an_address(redis_url: str) -> None:
    store = RedisStore.at(redis_url, prefix="same")
    store.reserve(ask("one.0"))
    store.close()
    assert RedisLook.at(redis_url, prefix="same").look(every).accounts == {"a": Balance(0, 10)}
