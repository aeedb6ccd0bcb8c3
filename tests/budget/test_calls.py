"""Whole calls on one budget: side by side, waiting, cancelled, and by both drivers alike."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path as File

import pytest

from adaptive_middleware import Middleware, Request, Rule, best_of_n, fixed, pass_through
from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Assumed, Ledger
from adaptive_middleware.budget.memory import MemoryStore
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.budget.store import BudgetStore
from adaptive_middleware.errors import BudgetExhausted, BudgetUnavailable
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.types import Outcome, Path, Usage
from tests.budget.driven import MIDNIGHT, balance
from tests.budget.failing import Failing

REQUEST = Request("12345678", parameters={"max_tokens": 76})
"""At worst 100 tokens an answer."""
WAIT = Cap("tokens", 1000, on_exhausted="wait")


class Slow:
    """Gives answers of 50 tokens, when `go` is set, or after a moment without it."""

    def __init__(self, go: asyncio.Event | None = None) -> None:
        self.go, self.drawn, self.asked = go, 0, asyncio.Event()

    def sample(self, request: Request, n: int) -> Sequence[Path]:
        time.sleep(0.001)
        return self._answers(n)

    async def asample(self, request: Request, n: int) -> Sequence[Path]:
        self.asked.set()
        await (asyncio.sleep(0.001) if self.go is None else self.go.wait())
        return self._answers(n)

    def _answers(self, n: int) -> list[Path]:
        self.drawn += n
        return [Path(("4",), usage=Usage(10, 40, requests=1))] * n


def counting(*caps: Cap, store: BudgetStore | None = None, seconds: float = 60.0) -> Ledger:
    return Ledger(caps, store or MemoryStore(), assumed=Assumed(wait_seconds=seconds), clock=lambda: MIDNIGHT)


def wrapped(ledger: Ledger, n: int = 1) -> Middleware:
    return Middleware(rules=[Rule("all", best_of_n(fixed(n)) if n > 1 else pass_through, budget=ledger)])


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for happens in the store
        await asyncio.sleep(0.001)


def waited_for(ledger: Ledger) -> bool:
    return ledger._rooms.busy(["tokens:all=:day=2023-11-14"]) is not None


@pytest.mark.parametrize("n", [1, 4])
async def test_a_thousand_calls_use_the_budget_up_and_never_more(n: int) -> None:
    ledger, sampler = counting(replace(WAIT, limit=20_000)), Slow()
    middleware = wrapped(ledger, n)
    calls = [middleware.arun(REQUEST, sampler) for _ in range(1000)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    settled, held = balance(ledger)
    assert (settled, held) == (50 * sampler.drawn, 0)
    assert 0.95 * 20_000 <= settled <= 20_000
    for outcome in outcomes:
        assert isinstance(outcome, (Outcome, BudgetExhausted))


def test_threads_wait_for_one_another_and_all_get_their_answer(store: BudgetStore) -> None:
    ledger, sampler = counting(Cap("tokens", 1100, on_exhausted="wait"), store=store), Slow()
    middleware = wrapped(ledger)
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: middleware.run(REQUEST, sampler), range(20)))
    assert [outcome.chosen.text for outcome in outcomes] == ["4"] * 20
    assert balance(ledger) == (1000, 0)


async def test_tasks_wait_for_one_another_and_all_get_their_answer(store: BudgetStore) -> None:
    ledger, sampler = counting(Cap("tokens", 1100, on_exhausted="wait"), store=store), Slow()
    middleware = wrapped(ledger)
    outcomes = await asyncio.gather(*(middleware.arun(REQUEST, sampler) for _ in range(20)))
    assert [outcome.chosen.text for outcome in outcomes] == ["4"] * 20
    assert balance(ledger) == (1000, 0)


@pytest.mark.parametrize("deadline", [True, False])
async def test_who_waits_is_refused_at_its_deadline(deadline: bool) -> None:
    ledger, go = (
        counting(Cap("tokens", 100, on_exhausted="wait"), seconds=60.0 if deadline else 0.05),
        asyncio.Event(),
    )
    middleware = wrapped(ledger)
    first = asyncio.create_task(middleware.arun(REQUEST, Slow(go)))
    await asyncio.sleep(0)
    request = replace(REQUEST, deadline=time.monotonic() + 0.2) if deadline else REQUEST
    with pytest.raises(BudgetExhausted, match="room for 0 of 1"):
        await middleware.arun(request, Slow())
    go.set()
    await first
    assert balance(ledger) == (50, 0)


async def test_who_is_cancelled_while_it_waits_takes_nothing() -> None:
    ledger, go = counting(Cap("tokens", 100, on_exhausted="wait")), asyncio.Event()
    middleware = wrapped(ledger)
    first = asyncio.create_task(middleware.arun(REQUEST, Slow(go)))
    await asyncio.sleep(0)
    second = asyncio.create_task(middleware.arun(REQUEST, Slow()))
    await until(lambda: waited_for(ledger))
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    go.set()
    await first
    assert balance(ledger) == (50, 0)
    assert not waited_for(ledger)


async def test_a_call_that_is_cancelled_costs_its_prompt_and_not_nothing(store: BudgetStore) -> None:
    ledger, sampler = counting(WAIT, store=store), Slow(asyncio.Event())
    call = asyncio.create_task(wrapped(ledger).arun(REQUEST, sampler))
    await sampler.asked.wait()
    assert balance(ledger) == (0, 100)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert balance(ledger) == (2, 0)


async def test_a_call_that_is_cancelled_while_it_reserves_holds_nothing(tmp_path: File) -> None:
    ledger = counting(WAIT, store=SqliteStore(tmp_path / "b.db", busy=30.0))
    balance(ledger)
    other = sqlite3.connect(tmp_path / "b.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    call = asyncio.create_task(wrapped(ledger).arun(REQUEST, Slow()))
    await asyncio.sleep(0.02)
    call.cancel()
    await asyncio.sleep(0.02)
    other.execute("COMMIT")
    other.close()
    await asyncio.gather(call, return_exceptions=True)
    assert call.cancelled()
    assert balance(ledger) == (0, 0)


async def test_who_waits_over_midnight_gets_room_of_the_new_day() -> None:
    now = [MIDNIGHT]
    ledger = Ledger((Cap("tokens", 100, on_exhausted="wait"),), clock=lambda: now[0])
    middleware, go = wrapped(ledger), asyncio.Event()
    first = asyncio.create_task(middleware.arun(REQUEST, Slow(go)))
    await asyncio.sleep(0)
    second = asyncio.create_task(middleware.arun(REQUEST, Slow()))
    await until(lambda: waited_for(ledger))
    now[0] += 86_400.0
    assert (await second).chosen.text == "4"
    assert balance(ledger, "tokens:all=:day=2023-11-15") == (50, 0)
    go.set()
    await first
    assert balance(ledger) == (50, 0), "a call is settled in the day in which it was reserved"


def test_a_call_with_an_answer_does_not_wait_for_more() -> None:
    ledger = counting(Cap("tokens", 130, on_exhausted="wait"))
    outcome = wrapped(ledger, 3).run(REQUEST, Slow())
    assert len(outcome.considered) == 1
    assert any("room for 1 of 3" in cause for cause in outcome.degraded)
    assert balance(ledger) == (50, 0)


async def test_a_store_that_fails_refuses_calls_and_settles_later_what_was_under_way(tmp_path: File) -> None:
    store, go = SqliteStore(tmp_path / "b.db", busy=0.01), asyncio.Event()
    ledger, sampler = counting(WAIT, store=store), Slow(go)
    call = asyncio.create_task(wrapped(ledger).arun(REQUEST, sampler))
    await sampler.asked.wait()
    other = sqlite3.connect(tmp_path / "b.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    go.set()
    outcome = await call
    assert outcome.chosen.text == "4"
    assert outcome.degraded == ("BudgetUnavailable: 1 settlements wait for the budgets' store",)
    assert [(spent.settled, spent.left) for spent in outcome.budget] == [(50, None)]
    for _ in range(3):
        with pytest.raises(BudgetUnavailable):
            await wrapped(ledger).arun(REQUEST, Slow())
    assert ledger.unsettled == 1, "refused calls leave nothing to be settled"
    other.execute("COMMIT")
    other.close()
    await wrapped(ledger).arun(REQUEST, Slow())
    assert balance(ledger) == (100, 0)
    store.close()


async def test_both_drivers_count_alike(store: BudgetStore) -> None:
    ledgers = [counting(Cap("tokens", 450), Cap("requests", 3, "policy"), store=store) for _ in range(2)]
    rules = [Rule(name, best_of_n(fixed(5)), budget=each) for name, each in zip("ab", ledgers, strict=True)]
    blocking = Middleware(rules=rules[:1]).run(REQUEST, ScriptedSampler(["4", "5"]))
    spent = [(each.reserved, each.settled) for each in blocking.budget]
    other = await Middleware(rules=rules[1:]).arun(REQUEST, ScriptedSampler(["4", "5"]))
    assert [(each.reserved, each.settled) for each in other.budget] == spent
    assert other.considered == blocking.considered


def test_a_rule_with_a_budget_does_not_pass_calls_by() -> None:
    assert Rule("plain", pass_through).passes_through
    assert not Rule("counted", pass_through, budget=counting(WAIT)).passes_through


def test_a_wait_without_room_in_a_shared_store_ends_at_its_deadline(sqlite_store: SqliteStore) -> None:
    ledger = counting(Cap("tokens", 99, on_exhausted="wait"), store=sqlite_store, seconds=0.05)
    with pytest.raises(BudgetExhausted):
        wrapped(ledger).run(REQUEST, Slow())
    assert balance(ledger) == (0, 0)


async def test_a_store_that_fails_tells_those_who_wait() -> None:
    store = Failing()
    ledger, go = counting(Cap("tokens", 100, on_exhausted="wait"), store=store), asyncio.Event()
    first = asyncio.create_task(wrapped(ledger).arun(REQUEST, Slow(go)))
    await asyncio.sleep(0)
    second = asyncio.create_task(wrapped(ledger).arun(REQUEST, Slow()))
    await until(lambda: waited_for(ledger))
    store.down_for_reserving = True
    go.set()
    await first
    with pytest.raises(BudgetUnavailable):
        await second
    assert balance(ledger) == (50, 0)


async def test_what_another_process_gives_back_reaches_a_call_that_waits(sqlite_store: SqliteStore) -> None:
    cap = Cap("tokens", 110, on_exhausted="wait")
    elsewhere = SqliteStore(sqlite_store.path)
    other = counting(cap, store=elsewhere)
    sampler = Slow(asyncio.Event())
    holding = asyncio.create_task(wrapped(other).arun(REQUEST, sampler))
    await sampler.asked.wait()
    ledger = counting(cap, store=sqlite_store)
    waiting = asyncio.create_task(wrapped(ledger).arun(REQUEST, Slow()))
    await until(lambda: waited_for(ledger))
    holding.cancel()
    assert (await waiting).chosen.text == "4"
    assert balance(ledger) == (2 + 50, 0)
    elsewhere.close()
