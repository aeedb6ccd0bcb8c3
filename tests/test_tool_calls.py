"""Equal tool calls have one canonical form; what makes a difference to the tool makes one here."""

from __future__ import annotations

import json
import random
from collections import Counter
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.tool_calls import canonical_calls, read_answer
from adaptive_middleware.tool_rules import ToolRule, rule_of
from adaptive_middleware.types import Path, ToolCall

numbers = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(st.sampled_from("abc"), values, max_size=3)
calls = st.builds(ToolCall, st.sampled_from(["f", "g"]), arguments, st.none() | st.text(max_size=2))


def same(first: object, second: object) -> bool:
    """Equality of JSON values as JSON means it, written independently: true is not 1, and 1.0 is 1."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def respelled(value: Any, shuffle: random.Random) -> Any:
    if isinstance(value, dict):
        keys = shuffle.sample(list(value), len(value))
        return {key: respelled(value[key], shuffle) for key in keys}
    if isinstance(value, list):
        return [respelled(each, shuffle) for each in value]
    if type(value) is int and int(float(value)) == value:
        return float(value)
    return int(value) if type(value) is float and value.is_integer() else value


@given(arguments, arguments)
def test_two_calls_have_one_form_exactly_when_name_and_arguments_are_equal(a: Any, b: Any) -> None:
    one = canonical_calls([ToolCall("f", a, "1")])
    assert (one == canonical_calls([ToolCall("f", b, "2")])) is same(a, b)
    assert one != canonical_calls([ToolCall("g", a)])


@given(st.lists(calls, max_size=3), st.randoms(use_true_random=False))
def test_key_order_spelling_of_numbers_ids_and_order_of_calls_do_not_count(
    written: list[ToolCall], shuffle: random.Random
) -> None:
    other = [ToolCall(each.name, respelled(each.arguments, shuffle), "other") for each in written]
    shuffle.shuffle(other)
    assert canonical_calls(written) == canonical_calls(other)


@given(st.lists(calls, max_size=3), st.lists(calls, max_size=3))
def test_several_calls_are_a_multiset(first: list[ToolCall], second: list[ToolCall]) -> None:
    def counted(each: list[ToolCall]) -> Counter[str | None]:
        return Counter(canonical_calls([call]) for call in each)

    assert (canonical_calls(first) == canonical_calls(second)) is (counted(first) == counted(second))


@given(st.lists(calls, max_size=3))
def test_the_form_is_compact_json_and_its_own_form(written: list[ToolCall]) -> None:
    form = canonical_calls(written)
    assert form is not None
    read = json.loads(form)
    assert form == json.dumps(read, separators=(",", ":"))
    assert form == canonical_calls([ToolCall(name, given) for name, given in read])


@given(calls, values)
def test_an_ignored_argument_never_tells_calls_apart(call: ToolCall, value: Any) -> None:
    rules = [ToolRule("?", ignore=("a",))]
    other = ToolCall(call.name, {**call.arguments, "a": value})
    assert canonical_calls([call], rules) == canonical_calls([other], rules)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"a": True}, {"a": 1}),
        ({"a": "1"}, {"a": 1}),
        ({"a": None}, {}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": "x "}, {"a": "x"}),
        ({"a": 2**53}, {"a": 2**53 + 1}),
        ({"a": 0.1}, {"a": 0.10000000000000002}),
        ({"a": {"why": 1}}, {"a": {"why": 2}}),
    ],
)
def test_what_a_tool_may_tell_apart_stays_apart(first: Any, second: Any) -> None:
    rules = [ToolRule("f", ignore=("why",))]
    assert canonical_calls([ToolCall("f", first)], rules) != canonical_calls([ToolCall("f", second)], rules)


def test_numbers_are_equal_by_value_however_large() -> None:
    forms = {canonical_calls([ToolCall("f", {"a": a})]) for a in (10**22, 1e22)}
    assert forms == {'[["f",{"a":10000000000000000000000}]]'}
    assert canonical_calls([ToolCall("f", {"a": -0.0})]) == canonical_calls([ToolCall("f", {"a": 0})])


def test_a_mapping_that_is_no_dict_is_an_object() -> None:
    frozen = MappingProxyType({"b": 1, "a": MappingProxyType({})})
    assert canonical_calls([ToolCall("f", frozen)]) == '[["f",{"a":{},"b":1}]]'


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_arguments_that_no_json_can_say_have_no_form_and_raise_nothing() -> None:
    circle: dict[str, object] = {}
    circle["self"] = circle
    hopeless: list[dict[str, object]] = [circle, {"a": nested(100_000)}, {"a": {(1, 2): 3}}]
    assert [canonical_calls([ToolCall("f", each)]) for each in hopeless] == [None] * 3


def test_the_first_rule_that_fits_a_name_is_used_and_case_counts() -> None:
    rules = (
        ToolRule("delete_user", samples=2),
        ToolRule("delete_*", target=0.9),
        ToolRule("[ab]", samples=1),
    )
    assert [rule_of(name, rules) for name in ("delete_user", "delete_x", "b", "B")] == [*rules, None]


def test_tool_calls_are_read_as_the_last_step_of_their_answer() -> None:
    calls = (ToolCall("s", {"q": "日本", "n": 1.0}), ToolCall("t", MappingProxyType({})))
    lines = 's({"q": "日本", "n": 1.0})\nt({})'
    assert read_answer(Path(tool_calls=calls)).steps == (lines,)
    assert read_answer(Path((" ",), tool_calls=calls)).steps == (lines,)
    assert read_answer(Path(("a\n\n", "b\n"), tool_calls=calls)).steps == ("a\n\n", "b\n\n", lines)


def test_an_answer_without_calls_is_read_as_it_is() -> None:
    plain = Path(("a",))
    assert read_answer(plain) is plain


def test_a_call_that_cannot_be_written_is_still_read() -> None:
    assert read_answer(Path(tool_calls=(ToolCall("f", {"a": nested(100_000)}),))).text == "f(...)"
