"""The demo on the real embedded pair: what a person sees, and what a program reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from adaptive_middleware.cli import app, demo_run, demo_shown
from adaptive_middleware.cli.demo_run import Call, Cost, calls, problems, summary

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def done() -> list[Call]:
    return list(calls(problems(1), seed=0))


def test_the_problems_rise_from_level_one_to_eight() -> None:
    assert [problem.level for problem in problems(2)] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8]


def test_json_has_the_documented_shape_and_nothing_else_is_printed() -> None:
    ran = RUNNER.invoke(app, ["demo", "--json", "--per-level", "1"])
    assert ran.exit_code == 0, ran.output
    told: dict[str, Any] = json.loads(ran.stdout)
    assert told.keys() == {"problems", "adaptive", "fixed", "calls"}
    assert told["problems"] == len(told["calls"]) == 8
    assert told["adaptive"].keys() == {"accuracy", "samples", "generated_tokens", "prm_tokens"}
    assert [row["n"] for row in told["fixed"]] == [1, 2, 4, 8, 16]
    assert {"n", "accuracy", "generated_tokens", "prm_tokens"} == told["fixed"][0].keys()
    assert {"id", "level", "p", "lower", "samples", "correct"} == told["calls"][0].keys()


def test_the_totals_are_those_of_the_calls(done: list[Call]) -> None:
    told: dict[str, Any] = summary(done)
    assert told["adaptive"]["samples"] == sum(call["samples"] for call in told["calls"])
    right = sum(call["correct"] for call in told["calls"])
    assert told["adaptive"]["accuracy"] == right / len(told["calls"])
    assert told["fixed"][4]["generated_tokens"] >= told["adaptive"]["generated_tokens"]


def test_the_same_seed_gives_the_same_demo(done: list[Call]) -> None:
    again = next(calls(problems(1), seed=0))
    assert again.outcome.chosen.text == done[0].outcome.chosen.text
    assert again.adaptive == done[0].adaptive


def test_an_adaptive_call_never_costs_more_than_sixteen_samples(done: list[Call]) -> None:
    for call in done:
        assert call.adaptive.samples <= 16
        assert call.fixed[16].samples == 16


def test_a_person_sees_every_call_the_totals_and_one_explanation() -> None:
    ran = RUNNER.invoke(app, ["demo", "--per-level", "1"], env={"COLUMNS": "100"})
    assert ran.exit_code == 0, ran.output
    for words in ("level  p(right)", "fixed N=16", "One decision explained", "before any answer", "stop:"):
        assert words in ran.stdout
    assert ran.stdout.count("right\n") + ran.stdout.count("wrong\n") >= 8


def test_ctrl_c_prints_what_was_done_so_far(monkeypatch: pytest.MonkeyPatch, done: list[Call]) -> None:
    def two_then_interrupted(*_: object) -> Iterator[Call]:
        yield from done[:2]
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_shown, "calls", two_then_interrupted)
    ran = RUNNER.invoke(app, ["demo"])
    assert ran.exit_code == 130
    assert "stopped by Ctrl-C after 2 of 24 problems" in ran.stdout
    assert "2 problems, same samples" in ran.stdout


def test_ctrl_c_before_the_first_call_still_gives_valid_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Iterator[Call]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(demo_shown, "calls", interrupted)
    ran = RUNNER.invoke(app, ["demo", "--json"])
    assert ran.exit_code == 130
    assert json.loads(ran.stdout)["problems"] == 0


def test_the_explained_call_was_right_after_a_few_samples_where_there_is_one(done: list[Call]) -> None:
    shown = demo_shown.worth_explaining(done)
    several = [c for c in done if c.adaptive.samples > 1]
    few = [c for c in several if c.adaptive.correct and c.adaptive.samples <= demo_shown.MOST_SHOWN]
    if few:
        assert shown in few
    elif several:
        assert shown.adaptive.samples == min(c.adaptive.samples for c in several)


def test_costs_are_plain_numbers() -> None:
    assert demo_run.summary([]) == {
        "problems": 0,
        "adaptive": {"samples": 0, "accuracy": 0.0, "generated_tokens": 0, "prm_tokens": 0},
        "fixed": [
            {"n": n, "accuracy": 0.0, "generated_tokens": 0, "prm_tokens": 0} for n in (1, 2, 4, 8, 16)
        ],
        "calls": [],
    }
    assert Cost(True, 1, 2, 3).generated_tokens == 2
