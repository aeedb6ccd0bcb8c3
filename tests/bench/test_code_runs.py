"""Runs of `solve` compared: what a rule that stops would have drawn, against every order tried by hand."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from adaptive_middleware.collect.journal import Journal
from bench.code import __main__ as command
from bench.code.runs import stopped, units_of


def unit(passes: str, tokens: int = 10) -> dict[str, Any]:
    drawn = [{"passed": one == "+", "completion_tokens": tokens} for one in passes]
    sums = {"samples": len(drawn), "completion_tokens": tokens * len(drawn), "solved": "+" in passes}
    return {**sums, "candidates": drawn}


def by_hand(passes: str, give_up: int) -> tuple[float, float]:
    """Chance to solve, and samples drawn, over all orders."""
    solved, drawn = [], []
    for order in permutations(passes):
        n = next((k + 1 for k, one in enumerate(order) if one == "+"), len(order))
        solved.append(float(n <= give_up and "+" in order))
        drawn.append(float(min(n, give_up)))
    return fmean(solved), fmean(drawn)


@pytest.mark.parametrize("passes", ["-----", "+----", "++---", "++++-", "+++++"])
@pytest.mark.parametrize("give_up", [1, 2, 4, 5])
def test_a_stopping_rule_costs_what_all_orders_cost_on_average(passes: str, give_up: int) -> None:
    row = stopped([unit(passes)], give_up)
    solved, drawn = by_hand(passes, give_up)
    assert (row.solved, row.samples, row.tokens) == pytest.approx((solved, drawn, 10 * drawn))


def written(folder: Path, **units: dict[str, Any]) -> Path:
    with Journal(folder, {}, resume=False) as journal:
        for name, one in units.items():
            journal.put(name, one)
    return folder


def test_runs_are_compared_on_the_tasks_that_all_of_them_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = written(tmp_path / "fixed", a=unit("-----"), b=unit("+----"), c=unit("+++++"))
    other = written(tmp_path / "other", a=unit("--"), b=unit("-+"))
    monkeypatch.setattr("sys.argv", ["bench.code", "--runs", str(fixed), str(other), "--json"])
    assert command.main() == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["tasks"], row["solved"], row["tokens"]) for row in (rows[0], rows[-1])] == [
        (2, 1.0, 100.0),
        (2, 1.0, 40.0),
    ]
    assert rows[-1]["share"] == 0.4
    monkeypatch.setattr("sys.argv", ["bench.code", "--runs", str(fixed)])
    assert command.main() == 0
    assert "| stop at the first pass, give up after 5 | 3 | 2.0 |" in capsys.readouterr().out


def test_a_folder_without_a_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench.code", "--runs", str(tmp_path)])
    assert command.main() == 1
    assert "no finished tasks" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError):
        units_of(tmp_path)
