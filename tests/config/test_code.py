"""What a configuration says of code: signals in a model's place, or before one."""

from __future__ import annotations

from typing import Any

import pytest

from adaptive_middleware.code.canonical import program_answer
from adaptive_middleware.config import load
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.scoring.code_signals import code_signals
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.select import execution_agreement
from adaptive_middleware.types import Path as Answer
from adaptive_middleware.types import Request, ToolCall

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
