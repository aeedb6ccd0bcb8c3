"""Giving up on code, from a configuration to an outcome: real tests in a sandbox, a scripted model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adaptive_middleware.config import load
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.types import Outcome, Path, Request
from adaptive_middleware.verify.sandbox.unsafe import unsafe
from adaptive_middleware.verify.unit_tests import unit_tests

RIGHT, WRONG = "def double(x): return 2 * x", "def double(x): return x"
QUESTION = Request(
    "Write double(x).", messages=({"role": "user", "content": "Write double(x)."},), model="weak"
)


def checks(tests: str) -> unit_tests:
    """What the configuration names as a user's own verifier."""
    return unit_tests(tests, where=unsafe())


class Model:
    """Says what `of` makes of a request, and remembers who was asked for what."""

    def __init__(self, of: Callable[[Request], str]) -> None:
        self.of = of
        self.asked: list[Request] = []

    def sample(self, request: Request, n: int) -> list[Path]:
        self.asked += [request] * n
        return [Path((self.of(request),)) for _ in range(n)]


def run(of: Callable[[Request], str], **keys: Any) -> tuple[Outcome, Model]:
    policy = {
        "strategy": "repair", "policy": {"kind": "optimal-stopping", "give_up": 0.2}, "max_samples": 16, "rounds": 0,
        "verifier": {"kind": "python", "target": "tests.config.test_give_up:checks", "args": {"tests": "assert double(2) == 4"}},
        **keys,
    }  # fmt: skip
    model = Model(of)
    plan = load({"version": 1, "policies": {"default": policy}}).build()
    return Middleware.of(plan).run(QUESTION, model), model


@pytest.mark.parametrize("strong", [RIGHT, WRONG])
def test_a_stronger_model_is_asked_once_when_the_belief_gives_up(strong: str) -> None:
    rung = {"name": "strong", "model": "big", "parameters": {"reasoning_effort": "high"}}
    outcome, model = run(lambda one: strong if one.model == "big" else WRONG, escalate=rung, on_fail="ask")
    assert [one.model for one in model.asked] == ["weak"] * 4 + ["big"]
    assert model.asked[-1].parameters["reasoning_effort"] == "high"
    right = strong == RIGHT
    assert (outcome.abstained is None, outcome.chosen.text == RIGHT) == (right, right)
    if not right:
        assert outcome.chosen.text.startswith("No answer is given: none of 5 answers passed its check.")


def test_without_a_stronger_model_nothing_is_said_or_a_failed_answer_is_returned() -> None:
    asks, _ = run(lambda _: WRONG, on_fail="ask")
    returns, model = run(lambda _: WRONG)
    assert (asks.abstained, len(model.asked)) == ("none of 4 answers passed its check", 4)
    assert (returns.chosen.text, returns.abstained) == (WRONG, None)
    assert [one.verdict.kind for one in returns.considered if one.verdict is not None] == ["wrong"] * 4


def test_a_repair_stops_at_the_first_pass() -> None:
    outcome, model = run(lambda one: RIGHT if len(one.messages) > 1 else WRONG, rounds=2)
    assert (outcome.chosen.text, len(model.asked)) == (RIGHT, 2)
    assert model.asked[0].messages == QUESTION.messages
