"""`solve` where a task is given up: another model is asked, or nothing is answered, or the failure is shown to the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adaptive_middleware.testing.fake_sse import fake_sse
from tests.solving.test_solve import CHECKED, RIGHT, WRONG, answers, solved

REPAIR = (
    "strategy: repair\n    policy: {kind: optimal-stopping, give_up: 0.2}\n    max_samples: 16\n"
    "    verifier: {kind: task-tests}\n    "
)
STRONGER = (
    "rounds: 0\n    escalate: {name: strong, model: big, parameters: {temperature: 0.1}}\n    on_fail: ask"
)
GIVEN_UP = 4
"""Failures after which a uniform belief expects under 0.2: 1 / (k + 2)."""


def run(folder: Path, policy: str, weak: str, strong: str, *options: str) -> tuple[dict[str, Any], list[Any]]:
    script = {
        "m": answers(lambda asked, _: RIGHT if "fails its tests" in asked else weak),
        "big": answers(lambda *_: strong),
    }
    with fake_sse(script) as server:
        code, out, err = solved(folder, server.url, REPAIR + policy, 1, *CHECKED, *options)
        asked = list(server.asked)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found, asked


def test_a_hopeless_task_is_given_up_and_a_stronger_model_is_asked_once(tmp_path: Path) -> None:
    report, asked = run(tmp_path, STRONGER, WRONG, RIGHT)
    assert (report["solved"], report["samples"]) == (1, GIVEN_UP + 1)
    assert [(one["model"], one["temperature"]) for one in asked] == [*[("m", 0.8)] * GIVEN_UP, ("big", 0.1)]
    assert all(len(one["messages"]) == 1 for one in asked[:GIVEN_UP])
    assert "fails its tests" in asked[-1]["messages"][-1]["content"]


def test_where_the_stronger_model_fails_too_nothing_is_answered(tmp_path: Path) -> None:
    report, asked = run(tmp_path, STRONGER, WRONG, WRONG)
    assert (report["solved"], len(asked)) == (0, GIVEN_UP + 1)
    (line,) = (tmp_path / "out/samples.jsonl").read_text().splitlines()
    assert "def double" not in json.loads(line)["completion"]


@pytest.mark.parametrize("runs", ["1", "3"])
def test_a_failure_that_is_shown_is_repaired(tmp_path: Path, runs: str) -> None:
    report, asked = run(tmp_path, "rounds: 2", WRONG, WRONG, "--runs", runs)
    assert (report["solved"], report["samples"]) == (1, 2)
    said = [one["content"] for one in asked[1]["messages"]]
    assert said[1] == WRONG
    assert "AssertionError: at: assert double(2) == 4" in said[2]
