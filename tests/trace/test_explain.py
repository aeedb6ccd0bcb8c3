"""An explanation says what the policy saw, and what it says would have changed the decision does change it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from math import comb
from pathlib import Path as File
from typing import Any

import pytest

from adaptive_middleware import (
    Middleware,
    agreement,
    best_of_n,
    fixed,
    instance_adaptive,
    optimal_stopping,
    report,
)
from adaptive_middleware.policy import weighted_agreement
from adaptive_middleware.policy.per_tool import per_tool
from adaptive_middleware.testing import ScriptedSampler, TableScorer, answer
from adaptive_middleware.tool_rules import ToolRule
from adaptive_middleware.trace.beliefs import BINS, believed, masses, picture
from adaptive_middleware.trace.explain import explanation, moment
from adaptive_middleware.trace.formula import formula, would_change
from adaptive_middleware.trace.reading import one
from adaptive_middleware.types import Belief, Outcome, ToolCall, Verdict
from tests.trace.made import SUM, asked, calibrate, judged, kept, plain_calls


def explained(file: File, **keys: Any) -> dict[str, Any]:
    told = explanation(one(file, str(asked(file, **keys).id)))
    json.dumps(told, allow_nan=False)
    return told


def test_the_beliefs_are_those_that_the_policy_decided_by(tmp_path: File) -> None:
    strategy = best_of_n(optimal_stopping(0.99, give_up=0.0001), max_samples=5, calibrate=calibrate)
    told = explained(tmp_path / "t.db", strategy=strategy, answers=["5", "6", "7", "8", "9"])
    decided = [decision["numbers"]["next"] for decision in told["decisions"]]
    assert [seen["mean"] for seen in told["beliefs"]] == pytest.approx(decided, abs=1e-12)
    assert [seen["after"] for seen in told["beliefs"]] == ["question", *(f"sample {k}" for k in range(1, 6))]
    assert told["notes"] == []


def test_a_belief_that_cannot_be_computed_anew_is_said_so(tmp_path: File) -> None:
    call = one(tmp_path / "t.db", str(asked(tmp_path / "t.db").id))
    told = call.report
    assert told is not None
    told["candidates"][0]["estimate"]["mean"] = 0.9
    assert "not all it saw was kept" in explanation(call)["notes"][0]


def test_without_a_question_score_the_prior_is_uniform_and_verdicts_move_it_exactly(tmp_path: File) -> None:
    class Fails:
        def verify(self, request: object, paths: list[object]) -> list[Verdict]:
            return [Verdict(False, "wrong") for _ in paths]

    strategy = best_of_n(fixed(3), score=False, verify=True)
    file = tmp_path / "t.db"
    with kept(file, strategy) as (middleware, sink):
        checked = Middleware(strategy, verifier=Fails(), observers=[sink])  # type: ignore[arg-type]
        name = str(checked.run(SUM, ScriptedSampler(["1", "2", "3"])).id)
        del middleware
    means = [seen["mean"] for seen in explanation(one(file, name))["beliefs"]]
    assert means == pytest.approx([1 / 2, 1 / 3, 1 / 4, 1 / 5], abs=2e-3)


def test_the_picture_has_the_mass_of_the_belief_in_equal_parts() -> None:
    belief = Belief((0.1, 0.2, 0.6), (0.5, 0.25, 0.25))
    found = masses(belief, 4)
    assert sum(found) == pytest.approx(1)
    below = 0.5 + 0.25 * (0.25 - 0.15) / (0.4 - 0.15)
    assert found[0] == pytest.approx(below)
    assert found[3] == pytest.approx(0.25 * 0.25 / 0.6)


def test_the_parts_of_every_belief_sum_to_one(tmp_path: File) -> None:
    told = explained(tmp_path / "t.db")
    for seen in told["beliefs"]:
        assert len(seen["bins"]) == BINS
        assert sum(seen["bins"]) == pytest.approx(1, abs=1e-9)
        assert seen["low"] <= seen["mean"] <= seen["high"]


def test_answers_that_were_dropped_move_the_belief_by_what_was_known_of_them() -> None:
    told = {"question": None, "candidates": [], "dropped": [{"p": 0.9}, {"p": None}]}
    none, high, same = believed(told, None)
    assert [seen.after for seen in (none, high, same)] == ["question", "dropped 1", "dropped 2"]
    weights = [p * 9 + 1 - p for p in (k / 1000 for k in range(1001))]
    mean = sum(k / 1000 * weight for k, weight in enumerate(weights)) / sum(weights)
    assert high.mean == pytest.approx(mean, abs=2e-3)
    assert same.mean == high.mean


def test_a_picture_of_nothing_is_blank() -> None:
    assert picture((0.0, 0.0)) == "  "


def test_raw_scores_probability_and_cost_are_those_of_the_call(tmp_path: File) -> None:
    told = explained(tmp_path / "t.db")
    assert (told["chosen"], told["samples"][1]["raw"], told["p"]) == (1, 0.97, 0.97)
    assert (told["lower"], told["upper"]) == (0.97 / 2, 1.97 / 2)
    cost = told["cost"]
    assert cost["fixed_n"] == 16
    assert cost["saved_tokens"] == cost["fixed_tokens"] - cost["completion_tokens"]
    assert cost["saved_share"] == pytest.approx(1 - 2 / 16)


def test_a_call_that_was_passed_through_says_what_it_cost(tmp_path: File) -> None:
    (name,) = plain_calls(tmp_path / "t.db", 1)
    told = explanation(one(tmp_path / "t.db", name))
    assert (told["said"], told["cost"]["saved_share"]) == ("4", 0)
    assert "decisions" not in told


def test_a_call_without_tokens_saved_nothing(tmp_path: File) -> None:
    with kept(tmp_path / "t.db", best_of_n(fixed(1), score=False)) as (middleware, _):
        name = str(middleware.run(SUM, ScriptedSampler([answer("4", tokens=0)])).id)
    assert explanation(one(tmp_path / "t.db", name))["cost"]["saved_share"] == 0


ANSWERS = ["5", "6", "7", "8", "9"]
"""Scored 0.3, then 0.5 each."""


def last_of(policy: Any, limit: int = 5) -> tuple[Outcome, list[str]]:
    strategy = best_of_n(policy, max_samples=limit, calibrate=calibrate)
    outcome = Middleware(strategy, scorer=TableScorer(judged)).run(SUM, ScriptedSampler(ANSWERS))
    told = report(outcome)
    assert told is not None
    return outcome, would_change(told)


def drawn(policy: Any) -> int:
    return len(last_of(policy)[0].considered)


def number(text: str, before: str) -> float:
    found = re.search(rf"{before} ([\d.]+)", text)
    assert found is not None, text
    return float(found.group(1))


def test_a_target_above_the_one_that_it_names_does_go_on() -> None:
    policy = optimal_stopping(0.4, give_up=0.001)
    _, (change,) = last_of(policy)
    named = number(change, "above")
    assert drawn(policy) == drawn(replace(policy, target=named - 0.001)) == 2
    assert drawn(replace(policy, target=named + 0.001)) > 2


def test_where_both_would_stop_it_both_are_named() -> None:
    decisions = last_of(optimal_stopping(0.99, give_up=0.001))[0].decisions
    between = (decisions[1].numbers["gain"] + decisions[2].numbers["gain"]) / 2
    policy = optimal_stopping(0.4, give_up=between)
    _, (change,) = last_of(policy)
    assert "together with a price of at most" in change
    target, price = number(change, "above") + 0.001, number(change, "at most") * 0.99
    assert (
        drawn(policy) == drawn(replace(policy, target=target)) == drawn(replace(policy, give_up=price)) == 2
    )
    assert drawn(replace(policy, target=target, give_up=price)) > 2


def test_a_price_under_the_one_that_it_names_does_go_on() -> None:
    policy = optimal_stopping(0.999, give_up=0.3)
    _, (change,) = last_of(policy)
    named = number(change, "at most")
    assert number(change, "a `give_up` of at most") == pytest.approx(named / 0.3, rel=0.06)
    assert drawn(policy) == drawn(replace(policy, give_up=named * 1.01)) == 1
    assert drawn(replace(policy, give_up=named * 0.99)) > 1


def test_a_call_that_drew_all_it_may_names_the_limit() -> None:
    policy = optimal_stopping(0.999, give_up=0.001)
    stopped, changes = last_of(policy, limit=3)
    assert changes == ["a `max_samples` above 3: the policy asked for more"]
    assert len(stopped.considered) == 3
    assert len(last_of(policy, limit=4)[0].considered) == 4


def test_votes_name_the_confidence_that_would_have_gone_on() -> None:
    strategy = best_of_n(agreement(0.8), score=False)
    outcome = Middleware(strategy).run(SUM, ScriptedSampler(["4", "4", "4", "4"]))
    (last,) = [decision for decision in outcome.decisions if not decision.more]
    stays = last.numbers["stays_leader"]
    assert stays == pytest.approx(
        1 - comb(len(outcome.considered) + 1, 0) / 2 ** (len(outcome.considered) + 1)
    )
    told = {
        "decisions": [{"more": 0, "because": last.because, "numbers": last.numbers}],
        "samples": 2,
        "max_samples": 16,
    }
    first, second = would_change(told)
    assert number(first, "above") == pytest.approx(stays, abs=1e-4)
    assert "one more vote for the second answer" in second
    again = Middleware(best_of_n(agreement(stays + 0.001), score=False)).run(SUM, ScriptedSampler(["4"] * 9))
    assert len(again.considered) > len(outcome.considered)


def decision(more: int, **numbers: float) -> dict[str, Any]:
    return {
        "decisions": [{"more": more, "because": "so", "numbers": numbers}],
        "samples": 3,
        "max_samples": 16,
    }


DROP = {"more": 0, "because": "dropped after 1 steps: p = 0.1", "numbers": {"p": 0.1}}
STOPPING = {"leader": 0.4, "target": 0.9, "next": 0.2, "gain": 0.05, "price": 0.02}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (decision(1, **STOPPING), ["a `target` of at most 0.400", "a price above 0.05 (now 0.02)"]),
        (decision(0, **{**STOPPING, "gain": 0.0, "price": 0.0, "target": 0.3}), ["a `target` above 0.400 (now 0.3)"]),
        (decision(0, **{**STOPPING, "gain": -1.0, "price": 0.0}), ["at most 0 times the one in use"]),
        (decision(1, first=2, second=1, stays_leader=0.6875, confidence=0.9), ["a `confidence` of at most 0.6875 (now 0.9)"]),
        (decision(0, first=2.0, second=1.0, right=0.1, turns=0.01, price=0.02), ["a price of at most 0.01 (now 0.02)"]),
        (decision(1, first=2.0, second=1.0, right=0.1, turns=0.03, price=0.02), ["a price above 0.03 (now 0.02)"]),
        (decision(0, p_lower=0.1, confidence=0.99, wanted=44, cap=16), ["a `cap` above 16: 44 samples"]),
        (decision(0, p_lower=0.5, confidence=0.99, wanted=7, cap=16), ["another lower bound of the question (now 0.500)"]),
        (decision(0, p=0.95, target=0.9), ["a `target` of the tool above 0.950 (now 0.9)"]),
        (decision(1, p=0.85, target=0.9), ["a `target` of the tool of at most 0.850 (now 0.9)"]),
        (decision(0, finished=3.0), []),
        ({**decision(1, **STOPPING), "decisions": [*decision(1, **STOPPING)["decisions"], DROP]}, ["a `target` of", "a price"]),
        ({"decisions": [DROP]}, []),
        ({"decisions": []}, []),
    ],
)  # fmt: skip
def test_every_policy_with_numbers_says_what_would_have_changed_it(
    told: dict[str, Any], words: list[str]
) -> None:
    found = would_change(told)
    assert len(found) == len(words)
    assert all(word in change for word, change in zip(words, found, strict=True))


def numbers_of(policy: Any, **keys: Any) -> dict[str, Any]:
    strategy = best_of_n(policy, calibrate=calibrate, **keys)
    outcome = Middleware(strategy, scorer=TableScorer(judged)).run(SUM, ScriptedSampler(ANSWERS))
    return {"numbers": outcome.decisions[-1].numbers}


def test_the_formulas_are_those_of_the_policies_as_they_are() -> None:
    careful = per_tool(fixed(1), (ToolRule("pay", target=0.3),))
    called = replace(answer("4"), tool_calls=(ToolCall("pay", {"sum": 1}),))
    outcome = Middleware(
        best_of_n(careful, calibrate=calibrate), scorer=TableScorer(lambda _: [0.9, 0.9])
    ).run(SUM, ScriptedSampler([called]))
    assert "target of the tool" in str(formula({"numbers": outcome.decisions[-1].numbers}))
    assert str(formula(numbers_of(optimal_stopping(0.9)))).startswith(
        "P(best is right) = 0.500 < 0.900 = target; gain"
    )
    assert str(formula(numbers_of(agreement(0.8)))).startswith("votes ")
    assert "turns the vote with" in str(formula(numbers_of(weighted_agreement())))
    assert "N = ln(1 - 0.99) / ln(1 - 0.2000) = 21, at most 64" in str(
        formula(numbers_of(instance_adaptive()))
    )
    assert formula(numbers_of(fixed(2))) is None


def test_moments_are_utc_and_absurd_ones_are_said_as_they_are() -> None:
    assert moment(1_700_000_000.5) == "2023-11-14T22:13:20.500Z"
    assert moment(1e30) == f"{1e30:.0f} s after 1970"
