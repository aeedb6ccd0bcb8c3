"""What the latest reports tell: the breaker of scoring, causes of degradation, and what budgets had left."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path as File
from typing import Any

import pytest

from adaptive_middleware import Middleware, Request, Rule, best_of_n, fixed
from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.scoring.breaker import Breaker as Real
from adaptive_middleware.testing import ScriptedSampler, TableScorer, answer
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from adaptive_middleware.types import Path
from adaptive_middleware.view.figures import figures
from adaptive_middleware.view.health_section import health
from adaptive_middleware.view.recent import Breaker, Recent, recent

STRATEGY = best_of_n(fixed(2))


def down(_path: Path) -> Sequence[float]:
    raise RuntimeError("the model's machine is <away>")


def up(path: Path) -> Sequence[float]:
    return [0.9] * max(len(path.steps), 1)


def calls(
    file: File, *scorings: Any, level: Any = "full", budget: Ledger | None = None, failures: int = 99
) -> Recent:
    """A call for each scoring, by one middleware; what the store then tells."""
    sink = TraceSink(TraceSettings(file, level=level))
    current: list[Any] = []

    def score(path: Path) -> Any:
        return current[-1](path)

    middleware = Middleware(
        rules=[Rule("default", STRATEGY, budget=budget)],
        scorer=TableScorer(score),
        observers=[sink],
        breaker=Real(failures=failures),
    )
    for scoring in scorings:
        current.append(scoring)
        drawn = [answer("4", tokens=5), answer("5", tokens=5)]
        middleware.run(Request("What is 2 + 2?", parameters={"max_tokens": 9}), ScriptedSampler(drawn))
        sink.flush()
    sink.close()
    return told(file)


def told(file: File) -> Recent:
    with closing(sqlite3.connect(file)) as connection:
        return recent(connection)


def section(file: File) -> str:
    return "".join(health(figures(file)))


def test_a_scored_call_tells_that_the_breaker_is_closed(tmp_path: File) -> None:
    found = calls(tmp_path / "t.db", up)
    assert (found.breaker.state, found.breaker.cause, found.causes) == ("closed", None, ())
    page = section(tmp_path / "t.db")
    assert '<strong class="good">closed</strong>' in page
    assert "cannot be seen from here" in page
    assert "No degraded call" in page


def test_scores_that_fail_are_told_with_their_words(tmp_path: File) -> None:
    found = calls(tmp_path / "t.db", up, down)
    assert found.breaker.state == "failing"
    assert "the model's machine is <away>" in str(found.breaker.cause)
    assert found.breaker.scored_at is not None
    page = section(tmp_path / "t.db")
    assert '<strong class="bad">failing</strong>' in page
    assert "Last scored: " in page
    assert "&lt;away&gt;" in page
    assert "<away>" not in page


def test_an_open_breaker_is_told_by_the_call_that_met_it(tmp_path: File) -> None:
    found = calls(tmp_path / "t.db", down, down, failures=1)
    assert found.breaker.state == "open"
    assert "left alone after 1 failures" in str(found.breaker.cause)
    assert '<strong class="bad">open</strong>' in section(tmp_path / "t.db")


def test_the_latest_call_that_tells_anything_is_believed(tmp_path: File) -> None:
    assert calls(tmp_path / "t.db", down, up).breaker.state == "closed"


def test_without_texts_a_failure_is_told_by_its_kind_alone(tmp_path: File) -> None:
    found = calls(tmp_path / "t.db", down, level="none")
    assert found.breaker.state == "failing"
    assert {cause.kind for cause in found.causes} == {cause.words for cause in found.causes}


def test_calls_that_asked_for_no_score_tell_nothing(tmp_path: File) -> None:
    sink = TraceSink(TraceSettings(tmp_path / "t.db"))
    Middleware(observers=[sink]).run(Request("2 + 2?"), ScriptedSampler(["4"]))
    sink.close()
    assert told(tmp_path / "t.db") == Recent(1)
    page = section(tmp_path / "t.db")
    assert "not known" in page
    assert "Last scored" not in page


def test_an_answer_that_nobody_can_score_is_no_failure_of_the_scorer(tmp_path: File) -> None:
    calls(tmp_path / "t.db", up)
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection:
        (details,) = connection.execute("SELECT details FROM calls").fetchone()
        changed = json.loads(details)
        changed["report"]["degraded"] = ["scores rejected: Unscorable: too long"]
        for candidate in changed["report"]["candidates"]:
            candidate["step_scores"] = None
        connection.execute("UPDATE calls SET details = ?, degraded = 1", (json.dumps(changed),))
        connection.commit()
    found = told(tmp_path / "t.db")
    assert found.breaker == Breaker()
    assert [(cause.kind, cause.calls) for cause in found.causes] == [("scores rejected", 1)]


def test_causes_are_counted_by_kind_with_the_latest_words_first(tmp_path: File) -> None:
    found = calls(tmp_path / "t.db", down, up, down)
    cause = next(one for one in found.causes if one.kind == "scores rejected")
    assert cause.calls == 2
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM calls ORDER BY at, id")]
    assert cause.call == ids[-1]


def test_what_is_left_of_a_budget_is_what_the_latest_call_was_told(tmp_path: File) -> None:
    ledger = Ledger((Cap("tokens", 1000), Cap("requests", 50)))
    found = calls(tmp_path / "t.db", up, up, budget=ledger)
    left = {one.budget: one.left for one in found.told}
    assert left == {one.cap.name: one.cap.limit - one.settled for one in ledger.standing()}
    assert set(left) == {"tokens per day", "requests per day"}


@pytest.mark.parametrize("details", ["{", "[]", '{"samples": []}', "[" * 100_000])
def test_what_is_damaged_is_passed_over(tmp_path: File, details: str) -> None:
    calls(tmp_path / "t.db", up)
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection:
        connection.execute("UPDATE calls SET details = ?", (details,))
        connection.commit()
    assert told(tmp_path / "t.db") == Recent()
