from __future__ import annotations

import pytest

from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Ledger, Standing
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.budget.store import Ask, BudgetStore, Grant
from adaptive_middleware.errors import BudgetUnavailable
from tests.budget.asks import ask, line, numbers, spent
from tests.budget.failing import Failing

CAPS = (Cap("tokens", 100),)


def full() -> Ledger:
    """A ledger whose account `a` of 20 is held by `h1` and `h2`."""
    ledger = Ledger(CAPS)
    assert len(ledger.reserve(ask("h1", "h2", lines=(line(limit=20),))).holds) == 2
    return ledger


def wish(*holds: str) -> Ask:
    return ask(*holds, lines=(line(limit=20),))


def test_what_is_given_back_goes_to_who_waits() -> None:
    ledger = full()
    ticket = ledger.wait(wish("w"), None, "a")
    assert ticket.grant is None
    assert ledger.look(ticket)
    ledger.settle([spent("h1", 5)], ["a"])
    assert ticket.grant is None, "5 + 10 are taken, 5 are free"
    ledger.release(["h2"], wish("h2"))
    assert ticket.grant == Grant(("w",))
    ticket.bell.wait(0.0)
    assert not ledger.look(ticket)


def test_nobody_overtakes_who_waits() -> None:
    ledger = full()
    ledger.wait(ask("big", lines=(line(limit=20, each=20),)), None, "a")
    ledger.settle([spent("h1", 0)], ["a"])
    assert ledger.reserve(wish("small")) == Grant((), "a")
    assert ledger.reserve(ask("elsewhere", lines=(line("b"),))).holds == ("elsewhere",)


def test_tenants_are_served_in_turn_and_in_order_within_a_tenant() -> None:
    ledger = full()
    served: list[str] = []
    tickets = {name: ledger.wait(wish(name), name[0], "a") for name in ("a1", "a2", "a3", "b1", "b2", "c1")}
    for given_back in ["h1", "h2", "a1", "b1", "c1", "a2"]:
        ledger.release([given_back], wish(given_back))
        served += [name for name, ticket in tickets.items() if ticket.grant and name not in served]
    assert served == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_who_leaves_gives_back_what_was_handed_over_meanwhile() -> None:
    ledger = full()
    first, second = (ledger.wait(wish(name), None, "a") for name in ("w1", "w2"))
    ledger.release(["h1"], wish("h1"))
    assert first.grant is not None
    ledger.leave(first)
    assert second.grant == Grant(("w2",))
    ledger.leave(second)
    ledger.leave(second)
    assert numbers(ledger.store) == [(0, 10)]


def test_who_leaves_lets_the_next_one_come() -> None:
    ledger = full()
    big = ledger.wait(ask("big", lines=(line(limit=20, each=20),)), "x", "a")
    small = ledger.wait(wish("small"), "y", "a")
    ledger.release(["h1"], wish("h1"))
    assert (big.grant, small.grant) == (None, None)
    ledger.leave(big)
    assert small.grant == Grant(("small",))


def test_who_gets_room_in_one_account_may_have_to_wait_for_another() -> None:
    ledger = full()
    ledger.reserve(ask("other", lines=(line("b", limit=10),)))
    both = ask("w", lines=(line(limit=20), line("b", limit=10)))
    ticket = ledger.wait(both, None, "a")
    ledger.release(["h1"], wish("h1"))
    assert (ticket.room, ticket.grant) == ("b", None)
    ledger.release(["other"], ask("other", lines=(line("b"),)))
    assert ticket.grant == Grant(("w",))


def test_a_store_that_fails_refuses_new_calls_and_loses_no_settlement() -> None:
    store = Failing()
    ledger = Ledger(CAPS, store)
    ledger.reserve(ask("h1", "h2"))
    store.down = True
    assert not ledger.settle([spent("h1", 4)], ["a"])
    assert not ledger.settle([spent("h2", 5)], ["a"])
    assert ledger.unsettled == 2
    with pytest.raises(BudgetUnavailable):
        ledger.reserve(ask("h3"))
    store.down = False
    ledger.reserve(ask("h4"))
    assert ledger.unsettled == 0
    assert [(each.settled, each.held) for each in ledger.balances(["a"])] == [(9, 10)]


def test_who_waits_is_told_when_the_store_fails() -> None:
    store = Failing()
    ledger = Ledger(CAPS, store)
    ledger.reserve(wish("h1"))
    ledger.reserve(wish("h2"))
    ticket = ledger.wait(wish("w"), None, "a")
    store.down = True
    assert not ledger.look(ticket)
    assert isinstance(ticket.error, BudgetUnavailable)


def test_what_another_process_gives_back_is_found_by_who_is_first(sqlite_store: SqliteStore) -> None:
    ledger, other = Ledger(CAPS, sqlite_store), SqliteStore(sqlite_store.path)
    other.reserve(wish("h1", "h2"))
    first, second = (ledger.wait(wish(name), None, "a") for name in ("w1", "w2"))
    other.settle([spent("h1", 0)])
    ledger.look(second)
    assert (first.grant, second.grant) == (None, None), "it is not the second one's turn to look"
    ledger.look(first)
    ledger.look(first)
    assert first.grant == Grant(("w1",))
    assert ledger.look(second)
    other.close()


def test_what_stands_where_can_be_seen(store: BudgetStore) -> None:
    caps = (Cap("tokens", 20), Cap("tokens", 90, "tenant"), Cap("usd", 5))
    ledger, day = Ledger(caps, store), "tokens:all=:day=2026-11-26"
    wishes = [ask(name, lines=(line(day, 20), line("tokens:tenant=x:day=2026-11-26", 90))) for name in "gh"]
    for each in wishes:
        ledger.reserve(each)
    ledger.settle([spent("g", 5, 5)], [])
    ledger.wait(ask("w", lines=(line(day, 20),)), None, day)
    assert ledger.standing() == [
        Standing(caps[0], day, 5, 10, 1),
        Standing(caps[1], "tokens:tenant=x:day=2026-11-26", 5, 10, 0),
    ]
