"""What a configuration says of code: signals in a model's place, or before one."""

from __future__ import annotations

import re
from typing import Any

import pytest

from adaptive_middleware.code.canonical import program_answer
from adaptive_middleware.config import load
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.policy import fixed, optimal_stopping
from adaptive_middleware.scoring.code_signals import code_signals
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.effort import Rung
from adaptive_middleware.strategies.repair import repair
from adaptive_middleware.strategies.select import execution_agreement
from adaptive_middleware.types import Path as Answer
from adaptive_middleware.types import Request, ToolCall
from adaptive_middleware.verify.rejecting import rejecting

HERE = "tests.config.parts"
SCORES = {"kind": "python", "target": f"{HERE}:Scores"}
BEST = {"strategy": "best-of-n"}
BROKEN = Answer(("x = = 1\n",))


def written(**keys: Any) -> dict[str, Any]:
    return {"version": 1, "prm": {"kind": "code-signals", **keys}}


def test_signals_stand_in_a_models_place() -> None:
    assert load(written()).build().scorer == code_signals()
    assert load(written(entry="f")).build().scorer == code_signals("f")


def test_signals_stand_before_a_model_of_ones_own() -> None:
    alone = load({"version": 1, "prm": SCORES}).build().scorer
    checked = load(written(then=SCORES)).build().scorer
    assert alone is not None
    assert checked is not None
    good = Answer(("x = 1\n",))
    assert checked.score(Request("q"), [good, BROKEN])[0] == alone.score(Request("q"), [good])[0]
    assert checked.score(Request("q"), [BROKEN])[0].values == (0.0,)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"then": {"kind": "code-signals"}}, "prm.then.kind is 'code-signals'"),
        ({"then": {"kind": "python", "target": f"{HERE}:Nothing"}}, "prm.then.target is"),
        (
            {"then": {"kind": "transformers", "model": "m", "sha256": "0" * 64, "sha256_files": {"a": "0" * 64}}},
            "prm.then.sha256 and prm.then.sha256_files cannot both be given",
        ),
        (
            {"then": {"kind": "pooling", "urls": ["http://h:1"], "model": "m", "tokenizer": "t", "key_env": "NO_SUCH_KEY"}},
            "prm.then.key_env is 'NO_SUCH_KEY', but that environment variable is not set",
        ),
    ],
)  # fmt: skip
def test_problems_are_said_where_they_are(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(written(**keys)).build()


def test_votes_compare_programs_and_selection_counts_agreement_where_it_is_said() -> None:
    best = load(
        {"version": 1, "policies": {"default": {**BEST, "answer": "code", "select": "execution-agreement"}}}
    )
    (rule,) = best.build().rules
    assert isinstance(rule.strategy, best_of_n)
    assert rule.strategy.answer is program_answer
    assert rule.strategy.select is execution_agreement


def test_rules_of_tools_hold_for_answers_in_code() -> None:
    tools = {"run": {"samples": 1, "ignore": ["why"]}}
    (rule,) = (
        load({"version": 1, "policies": {"default": {**BEST, "answer": "code", "tools": tools}}})
        .build()
        .rules
    )
    assert isinstance(rule.strategy, best_of_n)
    called = Answer((), tool_calls=(ToolCall("run", {"x": 1, "why": "so"}),))
    assert rule.strategy.answer(called) == '[["run",{"x":1}]]'
    assert rule.strategy.answer(Answer(("x=1",))) == "x = 1"


REPAIR = {
    "strategy": "repair",
    "verifier": {"kind": "python", "target": f"{HERE}:Contains", "args": {"word": "x"}},
}


def policies(**keys: Any) -> dict[str, Any]:
    return {"version": 1, "policies": {"default": keys}}


def test_repair_is_built_as_written_and_needs_no_process_reward_model() -> None:
    keys = {
        "policy": {"kind": "fixed", "n": 3}, "rounds": 1, "shown": 50, "complaint": "No: {output}", "on_fail": "ask",
        "escalate": {"name": "strong", "model": "m", "parameters": {"n": 1}},
    }  # fmt: skip
    (rule,) = load(policies(**REPAIR, **keys)).build().rules
    assert rule.strategy == repair(
        fixed(3), 3, 1, 50, "No: {output}", Rung("strong", 0.0, {"n": 1}, "m"), "ask", score=False
    )
    (plain,) = load(policies(**REPAIR)).build().rules
    assert plain.strategy == repair(optimal_stopping(), 16, score=False)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"strategy": "repair"}, "policies.default.strategy is 'repair', but nothing says what fails; add 'verifier'"),
        ({**REPAIR, "complaint": "No!"}, "policies.default.complaint is 'No!', but must be text with {output} in it"),
        ({**REPAIR, "rounds": -1}, "policies.default.rounds is -1, but must be at least 0"),
        (
            {**REPAIR, "escalate": {"name": "strong", "at_least": 0.5}},
            "policies.default.escalate.at_least is given, but only a failure leads to this rung",
        ),
        ({**BEST, "verifier_decides": "failures"}, "policies.default.verifier_decides is given, but there is no verifier"),
    ],
)  # fmt: skip
def test_contradictions_of_repair_and_checks_are_said(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(policies(**keys))


def test_a_verifier_that_only_rejects_leaves_what_passes_to_scores() -> None:
    both = {**policies(**BEST, verifier=REPAIR["verifier"], verifier_decides="failures")}
    verifier, plain = (
        load(both).build().verifier,
        load(policies(**BEST, verifier=REPAIR["verifier"])).build().verifier,
    )
    assert isinstance(verifier, rejecting)
    assert verifier.verifier == plain
