"""Tools in a configuration: how their calls are checked, and what must hold before one is returned."""

from __future__ import annotations

import pickle
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from adaptive_middleware import Middleware, Request, best_of_n, fixed, optimal_stopping, prune
from adaptive_middleware.config import Config, check, load, summary
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.policy import per_tool
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.tool_rules import ToolRule
from adaptive_middleware.types import Path as Answer
from adaptive_middleware.types import ToolCall
from adaptive_middleware.verify.tool_schema import tool_schema

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")
ADD = {"name": "add", "parameters": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}}


CONTAINS = {"kind": "python", "target": "tests.config.parts:Contains", "args": {"word": "yes"}}


def document(**keys: Any) -> dict[str, Any]:
    return {"version": 1, "policies": {"default": {"strategy": "best-of-n", **keys}}}


def call(name: str, **arguments: Any) -> Answer:
    return Answer(tool_calls=(ToolCall(name, arguments),))


def test_calls_are_checked_against_the_tools_of_the_request() -> None:
    middleware = Middleware.from_config(
        document(policy={"kind": "fixed", "n": 3}, verifier={"kind": "tool-schema"})
    )
    assert middleware.verifier == tool_schema()
    sampler = ScriptedSampler([call("add", a="x"), call("sub"), call("add", a=1)])
    assert middleware.run(Request("?", tools=[ADD]), sampler).chosen == call("add", a=1)


def test_an_own_check_is_asked_about_the_calls_that_can_run() -> None:
    document_ = document(policy={"kind": "fixed", "n": 3}, verifier={"kind": "tool-schema", "then": CONTAINS})
    middleware = Middleware.from_config(document_)
    script = [Answer(("yes",), tool_calls=call("sub").tool_calls), call("add", a=1), Answer(("yes",))]
    outcome = middleware.run(Request("?", tools=[ADD]), ScriptedSampler(script))
    assert outcome.chosen == script[2]
    verdicts = [one.verdict.passed for one in outcome.considered if one.verdict is not None]
    assert verdicts == [False, False, True]


@pytest.mark.parametrize(
    ("verifier", "named"),
    [
        ({"kind": "tool-schema"}, "tool-schema"),
        ({"kind": "tool-schema", "then": CONTAINS}, "tool-schema, then tests.config.parts:Contains"),
    ],
)
def test_the_summary_names_the_check(verifier: Any, named: str) -> None:
    shown: Any = summary(load(document(verifier=verifier)))
    assert [rule["verifier"] for rule in shown["rules"]] == [named]


def test_a_missing_library_is_reported_with_the_place_of_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(document(verifier={"kind": "tool-schema"})))
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ConfigError, match=r"adaptive-middleware\[tools\]") as raised:
        load(file).build()
    assert (raised.value.file, raised.value.line) == (str(file), 5)


TOOLS = {
    "deploy": {"target": 0.97, "on_fail": "abstain"},
    "write_*": {"target": 0.9, "samples": 4},
    "search": {"samples": 1, "ignore": ["reason"]},
}
RULES = (
    ToolRule("deploy", 0.97, None, "abstain"),
    ToolRule("write_*", 0.9, 4),
    ToolRule("search", None, 1, "return", ("reason",)),
)
SCORES = {"kind": "python", "target": "tests.config.parts:Scores"}


@pytest.mark.parametrize("strategy", ["best-of-n", "prune"])
def test_rules_of_tools_reach_the_policy_the_answers_and_the_guard(strategy: str) -> None:
    keys = {"strategy": strategy, "policy": {"kind": "fixed", "n": 4}, "tools": TOOLS}
    (rule,) = load({"version": 1, "prm": SCORES, "policies": {"default": keys}}).build().rules
    assert rule.tools == RULES
    assert isinstance(rule.strategy, best_of_n | prune)
    assert (type(rule.strategy).__name__, rule.strategy.policy) == (
        strategy.replace("-", "_"),
        per_tool(fixed(4), RULES),
    )
    first, second = (call("search", q=1, reason=reason) for reason in ("a", "b"))
    assert rule.strategy.answer(first) == rule.strategy.answer(second)
    assert pickle.loads(pickle.dumps(rule)).tools == RULES  # noqa: S301 - made here


def test_without_rules_of_tools_nothing_changes() -> None:
    (rule,) = load(document(tools={})).build().rules
    assert (rule.strategy, rule.tools) == (best_of_n(optimal_stopping(), score=False), ())


def test_a_configured_tool_is_withheld_and_another_passes() -> None:
    keys = {"strategy": "best-of-n", "max_samples": 5, "tools": TOOLS}
    middleware = Middleware.from_config({"version": 1, "prm": SCORES, "policies": {"default": keys}})
    withheld, passed = (ScriptedSampler([call(name)]) for name in ("deploy", "search"))
    assert middleware.run(Request("?"), withheld).abstained is not None
    assert middleware.run(Request("?"), passed).chosen == call("search")
    assert (sum(withheld.calls), passed.calls) == (5, [1])


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"f": {}}, "policies.default.tools.f says nothing; give target, samples or ignore"),
        ({"f": {"on_fail": "return"}}, "policies.default.tools.f says nothing"),
        (
            {"f": {"samples": 2, "on_fail": "abstain"}},
            "policies.default.tools.f.on_fail is 'abstain', but there is no target to miss; add target",
        ),
        (
            {"f": {"target": 0.9, "samples": 17}},
            "policies.default.tools.f.samples is 17, more than max_samples (16) allows; lower it, or raise max_samples",
        ),
        (
            {"delete_*": {"samples": 1}, "delete_user": {"samples": 2}},
            "policies.default.tools.delete_user never applies: 'delete_*' above takes all of these tools",
        ),
        ({"*": {"samples": 1}, "a[bc]": {"samples": 2}}, "tools.'a[bc]' never applies: '*' above"),
        ({"f": {"target": 1.5}}, "policies.default.tools.f.target is 1.5, but must be less than 1"),
        ({"f": {"targt": 0.5}}, "unknown key 'targt' in policies.default.tools.f; did you mean 'target'?"),
        (
            {"f": {"target": 0.9, "on_fail": "abstian"}},
            "policies.default.tools.f.on_fail is 'abstian'; did you mean 'abstain'? Valid: 'return', 'abstain'",
        ),
        ({"f": {"ignore": "why"}}, "policies.default.tools.f.ignore is 'why', but must be a list"),
        ({"f": {"ignore": []}}, "policies.default.tools.f.ignore is empty"),
        ({"": {"samples": 1}}, "a name in policies.default.tools is empty; write one"),
        (
            {"f": {"samples": True}},
            "policies.default.tools.f.samples is the boolean true, but must be a whole",
        ),
    ],
)
def test_a_rule_that_cannot_be_meant_is_said_with_its_key_and_remedy(keys: Any, words: str) -> None:
    found = check({**document(tools=keys), "prm": SCORES})
    assert isinstance(found, tuple)
    (problem,) = found
    assert words in problem.message


def test_patterns_that_may_both_apply_are_no_contradiction() -> None:
    keys = {"a?": {"samples": 1}, "a*": {"samples": 2}, "*b": {"samples": 3}, "[xy]": {"samples": 1}}
    assert isinstance(check(document(tools=keys)), Config)


@pytest.mark.parametrize(
    ("verifier", "valid"),
    [
        (None, False),
        ({"kind": "tool-schema"}, False),
        (CONTAINS, True),
        ({"kind": "tool-schema", "then": CONTAINS}, True),
    ],
)
def test_a_target_needs_something_that_gives_probabilities(verifier: Any, valid: bool) -> None:
    keys = {"tools": {"f": {"target": 0.9}}, **({"verifier": verifier} if verifier else {})}
    found = check(document(**keys))
    assert isinstance(found, Config) is valid
    if isinstance(found, tuple):
        (problem,) = found
        assert problem.message == (
            "policies.default.tools.f.target needs a probability, which votes do not give; "
            "add 'prm', or a verifier of your own"
        )


def test_the_python_of_the_page_runs() -> None:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102 - the page's own example
    outcome = names["middleware"].run(Request("?"), ScriptedSampler([call("deploy")]))
    assert outcome.abstained is not None


def test_the_examples_of_the_page_are_valid() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for example in examples:
        assert isinstance(check(yaml.safe_load(example)), Config)
