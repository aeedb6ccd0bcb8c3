"""Wishes and balances, written shortly."""

from __future__ import annotations

from adaptive_middleware.budget.store import Ask, BudgetStore, Line, Settlement

FOREVER = 4e9


def line(account: str = "a", limit: int = 100, each: int = 10, floor: int = 1) -> Line:
    return Line(account, limit, each, floor, FOREVER)


def ask(*holds: str, lines: tuple[Line, ...] = (line(),), lease: float = 600.0) -> Ask:
    return Ask(holds, lines, lease)


def spent(hold: str, *amounts: int) -> Settlement:
    return Settlement(hold, amounts)


def numbers(store: BudgetStore, *accounts: str) -> list[tuple[int, int]]:
    return [(each.settled, each.held) for each in store.balances(accounts or ("a",))]
