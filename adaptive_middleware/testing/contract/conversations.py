"""Random conversations with tools, and the promise that each of them passes through byte for byte. Needs hypothesis."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaptive_middleware.testing.contract.client import ADD, ONE, PASSING, Adapter, Json, expect
from adaptive_middleware.testing.fake_openai import Server

_WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
_VALUES = st.none() | st.booleans() | st.integers(-(2**31), 2**31) | _WORDS | st.lists(_WORDS, max_size=2)
_ARGUMENTS = st.dictionaries(_WORDS, _VALUES, max_size=3)
_PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
_PARTS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, _WORDS) | st.just(_PICTURE), min_size=1, max_size=3
)
_RESULTS = _WORDS | st.sampled_from(["Error: no such tool", '{"ok": false, "error": "Zeitüberschreitung"}'])
_SPACING = st.sampled_from([None, (",", ":")])
_SEARCH: Json = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Search; größer is better ✓",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
    },
}
_PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.sampled_from([0, 0.0, 0.1, 1]),
        "seed": st.integers(0, 2**31),
        "stop": st.lists(st.sampled_from(["END", "\n\n", "</s>"]), min_size=1, max_size=2),
        "tool_choice": st.sampled_from(["auto", "none", "required"]),
        "parallel_tool_calls": st.booleans(),
        "vendor_field": _ARGUMENTS,
    },
)


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A user's turn and its answer, plain or after one or two rounds of up to three tool calls at once."""
    begun: list[dict[str, Any]] = [_user(draw)]
    for round_ in range(draw(st.integers(0, 2))):
        begun += _round(draw, round_)
    return [*begun, {"role": "assistant", "content": draw(_WORDS)}]


def _user(draw: st.DrawFn) -> dict[str, Any]:
    return {"role": "user", "content": draw(_WORDS | _PARTS)}


def _round(draw: st.DrawFn, number: int) -> list[dict[str, Any]]:
    """An assistant's tool calls, with text or without, and what came of each: a result, or an error."""
    calls = [_call(draw, f"call-{number}-{k}") for k in range(draw(st.integers(1, 3)))]
    asked = {"role": "assistant", "content": draw(st.none() | _WORDS), "tool_calls": calls}
    results = [{"role": "tool", "tool_call_id": call["id"], "content": draw(_RESULTS)} for call in calls]
    return [asked, *results]


def _call(draw: st.DrawFn, id_: str) -> dict[str, Any]:
    written = json.dumps(draw(_ARGUMENTS), ensure_ascii=draw(st.booleans()), separators=draw(_SPACING))
    name = draw(st.sampled_from(["add", "search", "gone"]))
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": written}}


@st.composite
def conversations(draw: st.DrawFn) -> dict[str, Any]:
    """The body of a call at any point of a conversation: after a question, or after the results of tools."""
    system = draw(st.lists(st.builds(lambda text: {"role": "system", "content": text}, _WORDS), max_size=1))
    before = [message for turn in draw(st.lists(turns(), max_size=3)) for message in turn]
    last = [_user(draw), *(_round(draw, 9) if draw(st.booleans()) else [])]
    tools = draw(st.permutations([ADD, _SEARCH]))
    return {"model": "fake", "messages": [*system, *before, *last], "tools": tools, **draw(_PARAMETERS)}


def conversations_pass_on_byte_for_byte(adapter: Adapter, server: Server, *, examples: int = 200) -> None:
    """So many random conversations reach the provider, at one sample, as the bytes that the framework alone sends."""
    with ExitStack() as stack:
        alone, *wrapped = (stack.enter_context(adapter(server.url, one)) for one in (None, PASSING, ONE))

        @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(body=conversations(), client=st.sampled_from(wrapped))
        def compared(body: dict[str, Any], client: Any) -> None:  # noqa: ANN401 - one of `wrapped`
            server.reset()
            expect("the answer", client.call(body).said(), alone.call(body))
            passed, sent = server.bodies
            expect("the bytes that the provider got", passed, sent)

        compared()
