"""What every store promises, in memory, in SQLite and in Redis alike."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from adaptive_middleware.budget.store import Balance, BudgetStore, Settlement
from tests.budget.asks import ask, line, numbers, spent


def test_a_hold_counts_at_its_worst_until_it_is_settled_to_what_it_was(store: BudgetStore) -> None:
    assert store.reserve(ask("h")).holds == ("h",)
    assert numbers(store) == [(0, 10)]
    store.settle([spent("h", 4)])
    assert numbers(store) == [(4, 0)]


def test_an_unknown_account_is_empty(store: BudgetStore) -> None:
    assert numbers(store, "nobody", "none") == [(0, 0), (0, 0)]


def test_a_grant_is_as_large_as_there_is_room_and_says_where_it_was_short(store: BudgetStore) -> None:
    wish = ask("h1", "h2", "h3", lines=(line("wide", 1000), line("narrow", 29)))
    grant = store.reserve(wish)
    assert (grant.holds, grant.short) == (("h1", "h2"), "narrow")
    assert numbers(store, "wide", "narrow") == [(0, 20), (0, 20)]


def test_a_grant_says_what_every_account_had_free_before_it(store: BudgetStore) -> None:
    store.reserve(ask("h1", lines=(line("wide", 1000), line("narrow", 29))))
    store.settle([spent("h1", 4, 4)])
    store.reserve(ask("h2", lines=(line("wide", 1000),)))
    wish = ask("h3", "h4", "h5", lines=(line("wide", 1000), line("narrow", 29)))
    assert store.reserve(wish).free == (986, 25)
    assert store.reserve(ask("h6", lines=(line("narrow", 29),))).free == (5,)


def test_what_is_refused_leaves_no_trace(store: BudgetStore) -> None:
    grant = store.reserve(ask("h", lines=(line("wide"), line("narrow", 9))))
    assert (grant.holds, grant.short) == ((), "narrow")
    assert numbers(store, "wide", "narrow") == [(0, 0), (0, 0)]


def test_settling_twice_counts_once(store: BudgetStore) -> None:
    store.reserve(ask("h", "other"))
    store.settle([spent("h", 4), spent("h", 4)])
    store.settle([spent("h", 9)])
    assert numbers(store) == [(4, 10)]


def test_settling_what_was_never_taken_changes_nothing(store: BudgetStore) -> None:
    store.settle([spent("ghost", 4), Settlement("ghost", None)])
    assert numbers(store) == [(0, 0)]


def test_settling_to_the_floor_counts_what_is_certain(store: BudgetStore) -> None:
    store.reserve(ask("h", lines=(line(floor=3), line("b", floor=0))))
    store.settle([Settlement("h", None)])
    assert numbers(store, "a", "b") == [(3, 0), (0, 0)]


def test_more_than_was_reserved_is_counted_as_it_is_and_closes_the_account(store: BudgetStore) -> None:
    store.reserve(ask("h"))
    store.settle([spent("h", 120)])
    assert numbers(store) == [(120, 0)]
    assert store.reserve(ask("next")).holds == ()


def test_a_wish_that_arrives_twice_is_granted_once(store: BudgetStore) -> None:
    wish = ask("h1", "h2", lines=(line(limit=25), line("b")))
    assert store.reserve(wish).holds == store.reserve(wish).holds == ("h1", "h2")
    assert numbers(store, "a", "b") == [(0, 20), (0, 20)]


def test_an_account_from_which_nothing_is_taken_refuses_nobody(store: BudgetStore) -> None:
    store.reserve(ask("h", lines=(line(limit=10),)))
    free = (line(limit=10, each=0, floor=0),)
    assert store.reserve(ask("x", "y", lines=free)).holds == ("x", "y")


def test_amounts_up_to_the_largest_are_exact(store: BudgetStore) -> None:
    most = 10**15
    store.reserve(ask("h", lines=(line(limit=most, each=most - 1, floor=0),)))
    store.settle([spent("h", most - 1)])
    assert numbers(store) == [(most - 1, 0)]
    assert store.reserve(ask("x", "y", lines=(line(limit=most, each=1),))).holds == ("x",)


def test_names_of_accounts_may_hold_anything(store: BudgetStore) -> None:
    name = "usd:tenant=%F0%9F%92%A9 '\"; --:day=2026-11-26"
    store.reserve(ask("h", lines=(line(name),)))
    assert numbers(store, name) == [(0, 10)]


def test_threads_together_never_take_more_than_there_is(store: BudgetStore) -> None:
    start = threading.Barrier(8)

    def work(worker: int) -> int:
        start.wait()
        taken = 0
        for turn in range(10):
            hold = f"{worker}.{turn}"
            if store.reserve(ask(hold, lines=(line(limit=50, each=2),))).holds:
                store.settle([spent(hold, 1)])
                taken += 1
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(work, range(8)))
    assert numbers(store) == [(taken, 0)]
    assert 34 <= taken <= 50, "80 wishes of at most 2 on 50: at worst 8 holds are open beside what is settled"


def test_healing_leaves_what_is_alive_alone(store: BudgetStore) -> None:
    store.reserve(ask("h"))
    assert store.heal() == 0
    assert numbers(store) == [(0, 10)]


def test_all_accounts_can_be_looked_at(store: BudgetStore) -> None:
    assert store.accounts() == {}
    store.reserve(ask("h", lines=(line("a"), line("b", each=0, floor=0), line("usd:tenant=%22:day=1"))))
    store.settle([spent("h", 4, 0, 5)])
    store.reserve(ask("g"))
    assert store.accounts() == {
        "a": Balance(4, 10),
        "b": Balance(0, 0),
        "usd:tenant=%22:day=1": Balance(5, 0),
    }
