"""From the budgets of a configuration to the ledger that all its rules share."""

from __future__ import annotations

import os

from adaptive_middleware.budget.amounts import Unit
from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Assumed, Ledger
from adaptive_middleware.budget.memory import MemoryStore
from adaptive_middleware.budget.prices import Price, Prices
from adaptive_middleware.budget.redis_store import RedisStore
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.budget.store import BudgetStore
from adaptive_middleware.config.budgets import Amount, CapRule, RedisStoreRule, SqliteStoreRule
from adaptive_middleware.config.given import Given
from adaptive_middleware.errors import ConfigError


def ledger_of(given: Given, before: Ledger | None = None) -> Ledger | None:
    """The ledger of all rules; None without budgets. Raises `ConfigError` for a store that cannot be used.

    What the ledger `before` has counted in memory goes on being counted.
    """
    budget, caps = given.settings.budget, given.settings.budgets
    if not caps:
        return None
    table = {
        name: Price(price.prompt, price.completion, price.cached) for name, price in budget.prices.items()
    }
    assumed = Assumed(
        answer_tokens=budget.answer_tokens,
        prompt_tokens=budget.prompt_tokens,
        wait_seconds=budget.wait_seconds,
    )
    prices = Prices(table, known=budget.published_prices)
    return Ledger(tuple(map(cap_of, caps)), _store(given, before), prices, assumed)


def cap_of(rule: CapRule) -> Cap:
    """The cap that a rule means, in whole units."""
    unit, limit = amount_of(rule.amount)
    return Cap(unit, limit, rule.scope, rule.window, rule.on_exhausted, rule.unknown_price)


def amount_of(amount: Amount) -> tuple[Unit, int]:
    """The unit of an amount that has one, and how many of it, rounded down."""
    if amount.usd is not None:
        return "usd", max(int(amount.usd * 10**6 + 1e-6), 1)
    if amount.prm_seconds is not None:
        return "prm_ms", max(int(amount.prm_seconds * 1000 + 1e-6), 1)
    if amount.tokens is not None:
        return "tokens", amount.tokens
    return "requests", amount.requests or 1


def _store(given: Given, before: Ledger | None) -> BudgetStore:
    rule, path = given.settings.budget.store, ("budget", "store")
    if isinstance(rule, SqliteStoreRule):
        return SqliteStore(given.resolved(rule.path))
    if not isinstance(rule, RedisStoreRule):
        counted = None if before is None else before.store
        return counted if isinstance(counted, MemoryStore) else MemoryStore()
    url = rule.url if rule.url_env is None else os.environ.get(rule.url_env)
    if not url:
        message = f"names the environment variable {rule.url_env!r}, which is not set; set it, or give url"
        raise given.refused((*path, "url_env"), f"budget.store.url_env {message}")
    try:
        return RedisStore.at(url, prefix=rule.prefix)
    except ConfigError as error:
        raise given.refused(path, error.message) from error
