"""What `explain` says of budgets, and of the score of the question alone."""

from __future__ import annotations

import json
from pathlib import Path as File
from typing import Any

import pytest
from typer.testing import CliRunner

from adaptive_middleware import Middleware, Rule
from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.budget.prices import Price
from adaptive_middleware.cli import app, explain_shown
from adaptive_middleware.testing import ScriptedSampler, answer
from adaptive_middleware.trace.explain import explanation
from adaptive_middleware.trace.export import recorded
from adaptive_middleware.trace.feedback import judge
from adaptive_middleware.trace.reading import one
from adaptive_middleware.trace.sink import TraceSink
from tests.trace.made import SUM, THREE, asked, kept


def spending(store: File, sink: TraceSink) -> None:
    caps = (Cap("usd", 5_000_000, "tenant"), Cap("requests", 9))
    ledger = Ledger(caps, price=lambda _model, usage: Price(0.0, 1.0).of(usage))
    middleware = Middleware(rules=[Rule("careful", THREE, budget=ledger)], observers=[sink])
    for _ in range(2):
        middleware.run(SUM, ScriptedSampler([answer("4", tokens=50)] * 3))


def seen(store: File, *arguments: str) -> str:
    ran = CliRunner().invoke(app, ["explain", "--store", str(store), *arguments])
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_a_page_says_what_each_budget_had_free_when_the_call_was_granted_something(tmp_path: File) -> None:
    store = tmp_path / "t.db"
    with kept(store) as (_, sink):
        spending(store, sink)
    shown = " ".join(seen(store).split())
    assert "budget, usd per day of each tenant: 4.999" in shown
    assert (
        "budget, requests per day: 6 requests free when granted, 3 requests reserved, 3 requests spent; "
        "3 requests left afterwards"
    ) in shown
    told: dict[str, Any] = json.loads(seen(store, "--json"))
    assert [(each["unit"], each["free"]) for each in told["budget"]] == [("usd", 4_999_850), ("requests", 6)]


def test_a_call_that_an_older_version_kept_had_an_unknown_amount_free() -> None:
    spent = {"budget": "tokens per day", "unit": "tokens", "reserved": 90, "settled": 9, "left": None}
    (said,) = explain_shown._budget({"budget": [spent]}, 200)
    assert "an unknown amount free when granted, 90 tokens reserved, 9 tokens spent" in said


def test_the_score_of_the_question_is_kept_beside_what_was_made_of_it_and_recorded(tmp_path: File) -> None:
    store = tmp_path / "t.db"
    name = str(asked(store).id)
    assert explanation(one(store, name))["before"] == {
        "mean": pytest.approx(0.4),
        "lower": pytest.approx(0.2),
        "upper": pytest.approx(0.7),
        "raw": 0.4,
    }
    judge(store, name, correct=True)
    (problem,) = recorded([one(store, name)]).problems
    assert problem.question_score == 0.4
