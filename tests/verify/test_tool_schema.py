"""A tool call that cannot run is wrong, with the reason; one that can run is left to scores and votes."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool

from adaptive_middleware.engine import run
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.policy import agreement, fixed, optimal_stopping
from adaptive_middleware.ports import Ports
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.select import (
    Selection,
    calibrated_argmax,
    calibrated_vote,
    majority_vote,
)
from adaptive_middleware.testing import ScriptedSampler, TableScorer, answer
from adaptive_middleware.types import Path, Request, ToolCall, Verdict
from adaptive_middleware.verify.offered_tools import offered_tools
from adaptive_middleware.verify.tool_schema import tool_schema

ADD = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "number"}, "unit": {"enum": ["m", "km"]}},
    "required": ["a", "b"],
}
FORMS: dict[str, Any] = {
    "openai chat": {"type": "function", "function": {"name": "add", "parameters": ADD, "strict": True}},
    "openai responses": {"type": "function", "name": "add", "parameters": ADD},
    "langchain": {"name": "add", "description": "Adds.", "parameters": ADD},
    "anthropic": {"name": "add", "input_schema": ADD},
}


def calling(name: str = "add", call_id: str | None = None, **arguments: Any) -> Path:
    return Path(tool_calls=(ToolCall(name, arguments, call_id),), finish_reason="tool_calls")


def verdict(path: Path, *tools: object) -> Verdict:
    (one,) = tool_schema().verify(Request("?", tools=tools), [path])
    return one


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"a": 1}, "add: $: 'b' is a required property"),
        ({"a": "1", "b": 2}, "add: $.a: '1' is not of type 'integer'"),
        ({"a": True, "b": 2}, "add: $.a: True is not of type 'integer'"),
        ({"a": 1.5, "b": 2}, "add: $.a: 1.5 is not of type 'integer'"),
        ({"a": 1, "b": None}, "add: $.b: None is not of type 'number'"),
        ({"a": 1, "b": 2, "unit": "cm"}, "add: $.unit: 'cm' is not one of ['m', 'km']"),
        (
            {"a": 1, "b": 2, "c": 3},
            "add: $: Additional properties are not allowed ('c' was unexpected)",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_rejected_with_the_reason(
    form: object, arguments: dict[str, Any], reason: str
) -> None:
    assert verdict(calling(**arguments), form) == Verdict(passed=False, detail=reason)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_call_that_fits_is_undecided_because_it_may_still_be_the_wrong_one(form: object) -> None:
    assert verdict(calling(a=1.0, b=2, unit="km"), form) == Verdict(None)


def test_a_tool_that_is_not_offered_is_rejected_and_the_offered_ones_are_named() -> None:
    offered = [FORMS["langchain"], {"type": "function", "function": {"name": "ping"}}]
    assert verdict(calling("sub", a=1), *offered) == Verdict(
        passed=False, detail="there is no tool 'sub'; offered: add, ping"
    )


@pytest.mark.parametrize(
    "unread",
    [[], [FORMS["langchain"], object()], [FORMS["langchain"], {"type": "web_search"}], [{"function": "sub"}]],
)
def test_a_name_is_unknown_only_where_every_tool_of_the_request_could_be_read(unread: list[object]) -> None:
    assert verdict(calling("sub", a=1), *unread).passed is None


def test_every_fault_of_every_call_is_named() -> None:
    calls = (ToolCall("add", {"a": "x"}, "1"), ToolCall("add", {"a": 1, "b": 2}, "1"), ToolCall("no", {}))
    found = verdict(Path(tool_calls=calls), FORMS["langchain"])
    assert found == Verdict(
        passed=False,
        detail="2 calls have the id '1'; add: $.a: 'x' is not of type 'integer'; "
        "add: $: 'b' is a required property; there is no tool 'no'; offered: add",
    )


def test_empty_ids_are_no_ids() -> None:
    calls = (
        ToolCall("ping", {}, ""),
        ToolCall("ping", {}, ""),
        ToolCall("ping", {}),
        ToolCall("ping", {}, "1"),
    )
    assert verdict(Path(tool_calls=calls), {"name": "ping", "parameters": {}}).passed is None


@pytest.mark.parametrize("reason", ["tool_calls", "tool_use", "function_call"])
def test_a_call_that_could_not_be_read_is_rejected(reason: str) -> None:
    garbled = Path(("Let me add.",), finish_reason=reason)
    assert verdict(garbled, FORMS["langchain"]) == Verdict(
        passed=False, detail="a tool was called, but the call cannot be read"
    )


def test_an_answer_in_text_is_undecided_and_an_empty_one_wrong() -> None:
    assert verdict(answer("It is 3."), FORMS["langchain"]) == Verdict(None, "no tool is called")
    assert verdict(Path((" ",)), FORMS["langchain"]) == Verdict(
        passed=False, detail="neither text nor a tool call"
    )


def test_a_function_of_openai_without_parameters_takes_none() -> None:
    ping = {"type": "function", "function": {"name": "ping"}}
    assert verdict(calling("ping"), ping).passed is None
    assert verdict(calling("ping", a=1), ping).passed is False


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"properties": {}, "additionalProperties": True},
        {"properties": {}, "patternProperties": {"^x": {}}},
        {"properties": {}, "allOf": [{"properties": {"x": {}}}]},
    ],
)
def test_other_arguments_are_allowed_where_the_schema_may_mean_that(schema: object) -> None:
    assert verdict(calling("f", x=1), {"name": "f", "parameters": schema}).passed is None


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "no such type"},
        {"properties": {"x": {"$ref": "#/$defs/missing"}}},
        {"properties": {"x": {"pattern": "("}}},
        {"$ref": "#"},
    ],
)
def test_a_schema_that_cannot_be_used_leaves_the_call_undecided_and_says_so(broken: object) -> None:
    found = verdict(calling("f", x="1"), {"name": "f", "parameters": broken})
    assert found.passed is None
    assert found.detail.startswith("f: its schema cannot be used (")


def test_a_fault_beside_a_schema_that_cannot_be_used_is_still_a_fault() -> None:
    calls = (ToolCall("f", {}), ToolCall("g", {}))
    assert verdict(Path(tool_calls=calls), {"name": "f", "parameters": {"type": 5}}).passed is False


def test_nothing_is_fetched_for_a_schema() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        elsewhere = {"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"}
        assert verdict(calling("f"), {"name": "f", "parameters": elsewhere}).passed is None
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("odd", [{"name": "f", "parameters": "none"}, {"type": "bash_2025", "name": "f"}])
def test_a_tool_without_a_schema_takes_anything(odd: object) -> None:
    assert verdict(calling("f", x=1), odd).passed is None
    assert offered_tools([odd]).complete


@tool
def deploy(service: str, replicas: int = 1, note: str | None = None) -> str:
    """Deploy a service."""
    return f"{service} {replicas} {note}"


@given(
    st.dictionaries(
        st.sampled_from(["service", "replicas", "note", "force"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_a_langchain_tool_is_rejected_exactly_when_its_own_signature_is_not_met(
    given_: dict[str, Any],
) -> None:
    def fits(name: str, *kinds: type) -> bool:
        return name not in given_ or type(given_[name]) in kinds

    right = "service" in given_ and "force" not in given_
    right = right and fits("service", str) and fits("replicas", int) and fits("note", str, type(None))
    found = verdict(calling("deploy", **given_), convert_to_openai_tool(deploy))
    assert found.passed is (None if right else False)


@pytest.mark.parametrize("select", [calibrated_argmax, calibrated_vote, majority_vote])
@pytest.mark.parametrize("scored", [True, False])
@given(st.permutations([0, 1, 2, 3]))
def test_an_invalid_call_never_wins_over_a_valid_one(
    select: Selection, scored: bool, order: list[int]
) -> None:
    pool = [calling(a=1, b=2), calling(a="x"), calling(a="x"), Path(finish_reason="tool_calls")]
    pool = [Path(("I add.",), tool_calls=one.tool_calls, finish_reason=one.finish_reason) for one in pool]
    scorer = TableScorer(lambda path: [0.2 if path.tool_calls == pool[0].tool_calls else 0.9] * 2)
    strategy = best_of_n(fixed(4), select=select, score=scored, verify=True)
    ports = Ports(ScriptedSampler([pool[i] for i in order]), scorer, tool_schema())
    outcome = run(strategy(Request("?", tools=[FORMS["langchain"]])), ports)
    assert outcome.chosen == pool[0]


@pytest.mark.parametrize("policy", [agreement(), optimal_stopping()])
def test_invalid_calls_that_agree_do_not_end_the_call(policy: Any) -> None:
    sampler = ScriptedSampler([*[calling(a="x")] * 6, *[calling(a=1, b=2)] * 10])
    strategy = best_of_n(policy, score=False, verify=True)
    outcome = run(strategy(Request("?", tools=[FORMS["langchain"]])), Ports(sampler, verifier=tool_schema()))
    assert outcome.chosen.tool_calls[0].arguments == {"a": 1, "b": 2}


def test_without_jsonschema_the_remedy_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ConfigError, match=r"not installed: pip install 'adaptive-middleware\[tools\]'(\n|$)"):
        tool_schema()
