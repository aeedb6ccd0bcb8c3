"""Rules between the keys of budgets: what is wrong although every key by itself is right."""

from __future__ import annotations

from collections.abc import Iterator

from adaptive_middleware.config.budgets import Budget, CapRule, RedisStoreRule
from adaptive_middleware.config.document import KeyPath
from adaptive_middleware.config.schema import Settings


def budget_contradictions(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """Keys of valid budgets that cannot all be meant."""
    seen: dict[tuple[str, str, str], int] = {}
    for i, cap in enumerate(settings.budgets):
        path: KeyPath = ("budgets", i)
        yield from _cap(cap, path)
        (unit, *_) = [*sorted(cap.amount.model_fields_set), ""]
        first = seen.setdefault((unit, cap.scope, cap.window), i)
        if first != i:
            yield path, f"limits the same as budgets[{first}]; keep one of them"
    yield from _store(settings.budget)
    if not settings.budgets:
        given = settings.budget.model_fields_set - {"per_call"}
        for key in sorted(given):
            yield ("budget", key), "is given, but there are no budgets to count; add 'budgets', or remove it"


def _cap(cap: CapRule, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    units = cap.amount.model_fields_set
    if len(units) != 1:
        said = "has no amount" if not units else f"has {len(units)} amounts"
        yield (*path, "amount"), f"{said}; give exactly one of usd, tokens, requests and prm_seconds"
    if "unknown_price" in cap.model_fields_set and cap.amount.usd is None:
        yield (*path, "unknown_price"), "is given, but the amount is not in usd; remove it"
    if cap.on_exhausted == "wait" and cap.window == "call":
        yield (*path, "on_exhausted"), "is 'wait', but nobody else spends what one call may cost; remove it"


def _store(budget: Budget) -> Iterator[tuple[KeyPath, str]]:
    store = budget.store
    if isinstance(store, RedisStoreRule) and (store.url is None) == (store.url_env is None):
        yield ("budget", "store"), "needs exactly one of url and url_env"
