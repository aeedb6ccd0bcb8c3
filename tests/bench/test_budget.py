from __future__ import annotations

import json

import pytest

from bench import budget

KEYS = ["calls", "budget", "settled", "overshoot", "used_share", "naive_overshoot", "reserve_settle_us"]


def test_the_figures_have_the_promised_names_and_no_more_than_the_budget_is_settled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(budget, "REPEATS", 20)
    budget.main(["--json"])
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert list(found) == KEYS
    assert list(found["reserve_settle_us"]) == ["memory", "sqlite", "redis"]
    assert found["settled"] <= found["budget"]
    assert (found["overshoot"], found["used_share"]) == (0, round(found["settled"] / found["budget"], 4))
    assert found["used_share"] >= 0.95
    assert found["naive_overshoot"] > 0


def test_processes_are_counted_exactly() -> None:
    found = budget.measured(processes=True, repeats=3)["processes"]
    assert isinstance(found, dict)
    for store in found.values():
        assert [(one["exact"], one["overshoot"]) for one in store.values()] == [(True, 0), (True, 0)]
