"""Budgets as a configuration says them: what is refused, and the ledger that comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from adaptive_middleware import Middleware, Request
from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Assumed, Ledger
from adaptive_middleware.budget.memory import MemoryStore
from adaptive_middleware.budget.redis_store import RedisStore
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.config import Config, check, json_schema, load, summary
from adaptive_middleware.errors import BudgetExhausted, ConfigError
from adaptive_middleware.report import report
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.types import Usage

USD = {"amount": {"usd": 5.0}}


def document(*caps: dict[str, Any], **budget: Any) -> dict[str, Any]:
    return {"version": 1, "budgets": list(caps), **({"budget": budget} if budget else {})}


def ledger(*caps: dict[str, Any], **budget: Any) -> Ledger:
    first, *rest = load(document(*caps, **budget)).build().rules
    assert first.budget is not None
    assert all(rule.budget is first.budget for rule in rest)
    return first.budget


def problems(written: dict[str, Any]) -> list[str]:
    result = check(written)
    assert not isinstance(result, Config), "the document is valid"
    return [problem.message for problem in result]


@pytest.mark.parametrize(
    ("written", "cap"),
    [
        (USD, Cap("usd", 5_000_000)),
        ({"amount": {"usd": 0.07}, "scope": "tenant"}, Cap("usd", 70_000, "tenant")),
        ({"amount": {"usd": 1e-9}}, Cap("usd", 1)),
        ({"amount": {"tokens": 9}, "window": "run"}, Cap("tokens", 9, window="run")),
        (
            {"amount": {"requests": 7}, "scope": "model", "window": "month"},
            Cap("requests", 7, "model", "month"),
        ),
        ({"amount": {"prm_seconds": 1.5}, "on_exhausted": "wait"}, Cap("prm_ms", 1500, on_exhausted="wait")),
        ({**USD, "unknown_price": "allow"}, Cap("usd", 5_000_000, unknown_price="allow")),
    ],
)
def test_a_cap_is_what_was_written(written: dict[str, Any], cap: Cap) -> None:
    assert ledger(written).caps == (cap,)


def test_without_budgets_rules_have_none_and_calls_pass_through() -> None:
    (rule,) = load({"version": 1}).build().rules
    assert rule.budget is None
    assert rule.passes_through


def test_every_rule_counts_in_the_same_ledger() -> None:
    policies = {"a": {"strategy": "pass-through", "when": {"tags": ["a"]}}}
    rules = load({**document(USD), "policies": policies}).build().rules
    assert len({id(rule.budget) for rule in rules}) == 1
    assert not any(rule.passes_through for rule in rules)


def test_assumptions_and_prices_are_what_was_written() -> None:
    made = ledger(
        USD,
        answer_tokens=10,
        prompt_tokens=20,
        wait_seconds=3.0,
        prices={"my-*": {"prompt": 1.0, "completion": 2.0, "cached": 0.5}},
        published_prices=False,
    )
    assert made.assumed == Assumed(answer_tokens=10, prompt_tokens=20, wait_seconds=3.0)
    assert made.price("my-model", Usage(100, 10, 40)) == 60 + 20 + 20
    assert made.price("gpt-4o-mini", Usage(100, 10)) is None


def test_without_a_store_budgets_are_counted_in_memory() -> None:
    assert isinstance(ledger(USD).store, MemoryStore)
    assert isinstance(ledger(USD, store={"kind": "memory"}).store, MemoryStore)


def test_a_sqlite_store_lies_beside_the_configuration(tmp_path: Path) -> None:
    written = document(USD, store={"kind": "sqlite", "path": "b.db"})
    (tmp_path / "a.yaml").write_text(json.dumps(written))
    (rule,) = load(tmp_path / "a.yaml").build().rules
    assert rule.budget is not None
    assert isinstance(rule.budget.store, SqliteStore)
    assert rule.budget.store.path == tmp_path / "b.db"


def test_a_redis_store_is_at_its_address_or_at_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("redis")
    assert isinstance(ledger(USD, store={"kind": "redis", "url": "redis://a:1/0"}).store, RedisStore)
    by_name = {"kind": "redis", "url_env": "BUDGET_REDIS"}
    with pytest.raises(ConfigError, match="'BUDGET_REDIS', which is not set"):
        ledger(USD, store=by_name)
    monkeypatch.setenv("BUDGET_REDIS", "redis://:word@a:1/0")
    assert isinstance(ledger(USD, store=by_name).store, RedisStore)
    monkeypatch.setenv("BUDGET_REDIS", "http://a")
    with pytest.raises(ConfigError, match="address") as caught:
        ledger(USD, store=by_name)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (document({"amount": {}}), "budgets[0].amount has no amount; give exactly one"),
        (
            document({"amount": {"usd": 1.0, "tokens": 5}}),
            "budgets[0].amount has 2 amounts; give exactly one",
        ),
        (document(USD, {"amount": {"usd": 9.0}}), "budgets[1] limits the same as budgets[0]"),
        (document({"amount": {"tokens": 5}, "unknown_price": "deny"}), "the amount is not in usd; remove it"),
        (
            document({**USD, "window": "call", "on_exhausted": "wait"}),
            "nobody else spends what one call may cost",
        ),
        (document(USD, store={"kind": "redis"}), "budget.store needs exactly one of url and url_env"),
        (document(USD, store={"kind": "redis", "url": "redis://:word@a:1"}), "without a password"),
        (document(store={"kind": "memory"}), "budget.store is given, but there are no budgets"),
        (document({"amount": {"usd": True}}), "budgets[0].amount.usd"),
        (document({"amount": {"usd": 0.0}}), "budgets[0].amount.usd"),
        (document({"amount": {"usd": float("nan")}}), "not a finite number"),
        (document({"amount": {"tokens": 1.5}}), "budgets[0].amount.tokens"),
        (document({**USD, "window": "week"}), "budgets[0].window"),
        (document(USD, prices={"m": {"prompt": -1.0, "completion": 1.0}}), "budget.prices.m.prompt"),
        (document({}), "amount"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_key(written: dict[str, Any], said: str) -> None:
    assert any(said in message for message in problems(written)), problems(written)


def test_budgets_fit_the_json_schema() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    store = {"kind": "redis", "url": "redis://a:1", "prefix": "p"}
    validator.validate(document(USD, {"amount": {"tokens": 1}, "scope": "tenant"}, store=store))
    assert not validator.is_valid(document({"amount": {"usd": 0}}))


def test_the_summary_shows_budgets_with_their_defaults_and_only_where_there_are_any() -> None:
    shown: Any = summary(load(document(USD)))
    assert shown["budgets"] == [
        {
            "amount": {"usd": 5.0},
            "window": "day",
            "scope": "all",
            "on_exhausted": "refuse",
            "unknown_price": "deny",
        }
    ]
    assert shown["budget"]["store"] == {"kind": "memory"}
    assert shown["budget"]["answer_tokens"] == 4096
    assert "budgets" not in summary(load({"version": 1}))


def test_a_configured_middleware_keeps_within_its_budget_and_reports_it() -> None:
    caps = ({"amount": {"requests": 5}, "window": "month"}, {"amount": {"tokens": 10**6}})
    default = {"strategy": "best-of-n", "policy": {"kind": "fixed", "n": 3}}
    middleware = Middleware.from_config({**document(*caps), "policies": {"default": default}})
    told: Any = report(middleware.run(Request("?"), ScriptedSampler(["4"])))
    assert told["budget"][0] == {
        "budget": "requests per month", "unit": "requests", "reserved": 3, "settled": 3, "left": 2, "free": 5
    }  # fmt: skip
    second = middleware.run(Request("?"), ScriptedSampler(["4"]))
    assert len(second.considered) == 2
    with pytest.raises(BudgetExhausted):
        middleware.run(Request("?"), ScriptedSampler(["4"]))
