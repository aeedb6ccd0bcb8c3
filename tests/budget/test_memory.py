from __future__ import annotations

from adaptive_middleware.budget.memory import MemoryStore
from adaptive_middleware.budget.store import Line
from tests.budget.asks import ask, numbers, spent


def test_past_accounts_that_hold_nothing_are_forgotten_when_there_are_many() -> None:
    now = [0.0]
    store = MemoryStore(most=10, clock=lambda: now[0])
    for i in range(10):
        store.reserve(ask(f"h{i}", lines=(Line(f"run {i}", 100, 10, 1, expires=50.0),)))
    store.settle([spent(f"h{i}", 7) for i in range(9)])
    now[0] = 60.0
    store.reserve(ask("new", lines=(Line("run 10", 100, 10, 1, expires=99.0),)))
    assert numbers(store, "run 0", "run 9", "run 10") == [(0, 0), (0, 10), (0, 10)]


def test_accounts_that_are_still_counted_are_kept_however_many_there_are() -> None:
    store = MemoryStore(most=2, clock=lambda: 0.0)
    for i in range(20):
        store.reserve(ask(f"h{i}", lines=(Line(f"run {i}", 100, 10, 1, expires=50.0),)))
        store.settle([spent(f"h{i}", 7)])
    assert numbers(store, *[f"run {i}" for i in range(20)]) == [(7, 0)] * 20
