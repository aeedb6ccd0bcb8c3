"""Spend against caps: what counts now is shown beside its limit, and what cannot be seen from here is said to be so."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.look import Look, Reserved, Wanted
from adaptive_middleware.budget.store import Balance
from adaptive_middleware.config import load
from adaptive_middleware.errors import BudgetUnavailable
from adaptive_middleware.view.recent import NOTHING, Recent, Told
from adaptive_middleware.view.spend import SHOWN, Budgets, budgets_of, spend
from adaptive_middleware.view.spend_section import spending

NOON = 1_795_694_400.0
"""2026-11-26, 12:00 UTC."""


class Seen:
    """A store that has counted `accounts`; or one that is away."""

    def __init__(
        self,
        *reserved: Reserved,
        accounts: Mapping[str, tuple[int, int]] | None = None,
        problem: str | None = None,
    ) -> None:
        self.reserved, self.problem = reserved, problem
        self.accounts = {key: Balance(*pair) for key, pair in (accounts or {}).items()}

    def look(self, wanted: Wanted) -> Look:
        if self.problem is not None:
            raise BudgetUnavailable(self.problem)
        found = {key: balance for key, balance in self.accounts.items() if wanted(key)}
        return Look(found, 0, self.reserved, len(self.reserved))


def said(budgets: Budgets, recent: Recent = NOTHING) -> str:
    return "".join(spending(spend(budgets, NOON), recent))


def configured(store: dict[str, Any] | None, *amounts: dict[str, Any]) -> Budgets:
    rules = [{"amount": each} for each in amounts]
    budget = {} if store is None else {"store": store}
    return budgets_of(load({"version": 1, "budgets": rules, "budget": budget}))


def test_only_windows_that_have_not_ended_count() -> None:
    caps = Cap("tokens", 100), Cap("tokens", 1000, window="month"), Cap("tokens", 50, window="run")
    accounts = {
        "tokens:all=:day=2026-11-26": (10, 5),
        "tokens:all=:day=2026-11-25": (99, 0),
        "tokens:all=:month=2026-11": (700, 0),
        "tokens:all=:month=2026-10": (999, 0),
        "tokens:all=:run=job": (50, 10),
        "usd:all=:day=2026-11-26": (1, 1),
    }
    found = spend(Budgets(caps, Seen(accounts=accounts), "x"), NOON)
    assert [[(room.period, room.settled, room.held) for room in rooms] for _, rooms, _ in found.rooms] == [
        [("2026-11-26", 10, 5)],
        [("2026-11", 700, 0)],
        [("job", 50, 10)],
    ]
    page = "".join(spending(found, NOTHING))
    assert "100 tokens per day" in page
    assert "10 spent, 5 reserved, 85 left (15%)" in page
    assert "50 spent, 10 reserved, 10 over (120%)" in page


def test_names_are_shown_as_they_were_given_and_stay_texts() -> None:
    accounts = {
        "usd:tenant=a%2Fb%3Cscript%3E:day=2026-11-26": (1_500_000, 250_000),
        "usd:tenant=?:day=2026-11-26": (0, 0),
    }
    page = said(Budgets((Cap("usd", 2_000_000, "tenant"),), Seen(accounts=accounts), "x"))
    assert "a/b&lt;script&gt;, 2026-11-26" in page
    assert "$1.50 spent, $0.25 reserved, $0.25 left (88%)" in page
    assert "no name" in page


def test_the_fullest_accounts_of_many_are_shown_and_the_others_counted() -> None:
    accounts = {f"tokens:tenant=t{n:02}:day=2026-11-26": (n, 0) for n in range(SHOWN + 3)}
    page = said(Budgets((Cap("tokens", 100, "tenant"),), Seen(accounts=accounts), "x"))
    assert f"t{SHOWN + 2:02}" in page
    assert "t02" not in page
    assert "And 3 more." in page


def test_caps_without_an_account_say_why() -> None:
    caps = Cap("tokens", 9, window="call"), Cap("tokens", 9, window="run"), Cap("tokens", 9)
    page = said(Budgets(caps, Seen(), "x"))
    assert "Counted in each call alone" in page
    assert "No run is counted now." in page
    assert "Nothing is counted in this day." in page
    assert "None: no call is under way" in page


def test_reservations_are_listed_with_their_process_and_the_end_of_their_lease() -> None:
    held = {"usd:all=:day=2026-11-26": 500_000, "prm_ms:tenant=a%3C:day=2026-11-26": 90_000}
    one = Reserved("c1", 3, held, 60.0, "4711")
    two = Reserved("c2", 1, {"tokens:all=:run=job": 7}, None, None)
    page = said(Budgets((Cap("usd", 2_000_000),), Seen(one, two), "x"))
    assert "2 calls have something reserved." in page
    assert "$0.50 (day), 90.0 s of scoring (day of tenant a&lt;)" in page
    assert "7 tokens (run)" in page
    assert "<td>4711</td><td>12:01:00</td>" in page
    assert "<td>-</td><td>-</td>" in page
    assert "ended" not in page


def test_reservations_of_processes_that_ended_are_said_aloud() -> None:
    page = said(Budgets((Cap("usd", 9),), Seen(Reserved("c", 1, {}, 1.0, "4711", gone=True)), "x"))
    assert "1 of them are of processes that have ended" in page
    assert "4711, ended" in page


def test_a_store_that_is_away_is_said_with_what_calls_were_told() -> None:
    recent = Recent(
        7,
        told=(
            Told("usd per day", "usd", 1_500_000, NOON, "0123456789abcdef"),
            Told("b", "tokens", None, NOON, "c"),
        ),
    )
    budgets = Budgets((Cap("usd", 9_000_000),), Seen(problem="gone <away>"), "Counted there.")
    page = said(budgets, recent)
    assert 'role="alert">gone &lt;away&gt;' in page
    assert "$9.00 per day" in page
    assert "What the latest 7 calls were told" in page
    assert "$1.50" in page
    assert "the store was away" in page
    assert 'href="/calls/0123456789abcdef"' in page


def test_without_a_configuration_the_page_says_how_to_give_one() -> None:
    assert "--config FILE" in said(Budgets())


def test_a_configuration_without_budgets_says_so() -> None:
    assert configured(None).said == "The configuration has no budgets."


@pytest.mark.parametrize("store", [None, {"kind": "memory"}])
def test_budgets_in_memory_of_another_process_are_said_to_be_out_of_sight(
    store: dict[str, Any] | None,
) -> None:
    page = said(configured(store, {"usd": 5.0}))
    assert "which no other process can see" in page
    assert "$5.00 per day" in page
    assert "Reservations" not in page


def test_a_budget_file_is_looked_at_beside_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "version: 1\nbudgets: [{amount: {usd: 5}}]\nbudget: {store: {kind: sqlite, path: b.db}}\n",
        encoding="utf-8",
    )
    budgets = budgets_of(load(tmp_path / "a.yaml"))
    assert budgets.said == f"Counted in the file {tmp_path / 'b.db'}."
    assert "Nothing is counted in this day." in said(budgets)
    assert not (tmp_path / "b.db").exists()


def test_the_address_of_a_redis_is_named_but_never_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("redis", reason="the package redis is not installed (extra redis)")
    monkeypatch.setenv("BUDGETS", "redis://:secret-word@127.0.0.1:1/0")
    hidden = configured({"kind": "redis", "url_env": "BUDGETS"}, {"tokens": 5})
    assert hidden.said == "Counted in Redis, the address in $BUDGETS, adaptive-budget."
    shown = configured({"kind": "redis", "url": "redis://127.0.0.1:1/0", "prefix": "p"}, {"tokens": 5})
    assert shown.said == "Counted in Redis, redis://127.0.0.1:1/0, p."
    assert "cannot be used" in said(hidden)
    assert "secret-word" not in said(hidden)


def test_a_redis_whose_address_is_not_set_here_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUDGETS", raising=False)
    assert (
        "$BUDGETS, which is not set here"
        in configured({"kind": "redis", "url_env": "BUDGETS"}, {"tokens": 5}).said
    )


def test_without_the_package_redis_is_said_to_be_out_of_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    budgets = configured({"kind": "redis", "url": "redis://127.0.0.1:1/0"}, {"tokens": 5})
    assert budgets.looking is None
    assert "need the package 'redis'" in budgets.said


def test_marks_change_when_there_is_something_new_to_show() -> None:
    caps = (Cap("tokens", 9),)
    day = {"tokens:all=:day=2026-11-26": (1, 0)}
    same = [
        spend(Budgets(caps, Seen(Reserved("c", 1, {}, left), accounts=day), "x"), NOON).marks
        for left in (9.0, 8.0)
    ]
    assert same[0] == same[1]
    assert same[0] != spend(Budgets(caps, Seen(accounts=day), "x"), NOON).marks
    assert same[0] != spend(Budgets(caps, Seen(problem="away"), "x"), NOON).marks
