from __future__ import annotations

import multiprocessing
import sys
import time

import pytest

from adaptive_middleware.budget.redis_store import RedisStore
from adaptive_middleware.errors import BudgetUnavailable, ConfigError
from tests.budget.asks import ask, line, numbers, spent


def work(url: str, worker: int) -> int:
    store, taken = RedisStore.at(url, prefix="together"), 0
    for turn in range(100):
        if store.reserve(ask(f"{worker}.{turn}", lines=(line(limit=120, each=3),))).holds:
            store.settle([spent(f"{worker}.{turn}", 1)])
            taken += 1
    store.close()
    return taken


def test_two_processes_spend_exactly_what_they_settled(redis_url: str) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        taken = sum(pool.starmap(work, [(redis_url, worker) for worker in range(2)]))
    store = RedisStore.at(redis_url, prefix="together")
    assert numbers(store) == [(taken, 0)]
    assert 114 < taken <= 120
    store.close()


def test_a_hold_heals_when_its_lease_runs_out_and_a_late_settlement_counts_instead(
    redis_store: RedisStore,
) -> None:
    redis_store.reserve(ask("h", lines=(line(floor=1), line("b", floor=2)), lease=0.05))
    redis_store.reserve(ask("alive"))
    time.sleep(0.1)
    assert redis_store.heal() == 1
    assert numbers(redis_store, "a", "b") == [(1, 10), (2, 0)]
    redis_store.settle([spent("h", 7, 0)])
    redis_store.settle([spent("h", 7, 0)])
    assert numbers(redis_store, "a", "b") == [(7, 10), (0, 0)]


def test_an_expired_hold_makes_room_for_the_next_call(redis_store: RedisStore) -> None:
    redis_store.reserve(ask("h", lines=(line(each=100),), lease=0.05))
    assert redis_store.reserve(ask("early")).holds == ()
    time.sleep(0.1)
    assert redis_store.reserve(ask("next")).holds == ("next",)


def test_a_server_that_is_not_there_is_named_and_refuses_the_call() -> None:
    pytest.importorskip("redis")
    store = RedisStore.at("redis://127.0.0.1:1/0", seconds=0.2)
    with pytest.raises(BudgetUnavailable, match="check that it runs and can be reached"):
        store.reserve(ask("h"))


def test_an_address_that_is_none_is_refused() -> None:
    pytest.importorskip("redis")
    with pytest.raises(ConfigError, match="address"):
        RedisStore.at("http://127.0.0.1/")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError, match=r"adaptive-middleware\[redis\]"):
        RedisStore.at("redis://127.0.0.1/")
