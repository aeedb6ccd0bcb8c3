"""The events of the Responses API: read as pieces, made of a response, and added up to one again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from adaptive_middleware.sampling.chunks import ProviderError
from adaptive_middleware.sampling.sse import MalformedStream
from adaptive_middleware.transport.response_events import (
    ends,
    errors_of,
    events_of,
    framed,
    piece_of,
    response_of,
)
from adaptive_middleware.types import ToolCall, Usage

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
USAGE = {
    "input_tokens": 5,
    "output_tokens": 3,
    "total_tokens": 8,
    "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 1},
}
WORDS = st.text(max_size=12)
TEXTS = st.builds(
    lambda text: {"type": "output_text", "text": text, "annotations": [], "logprobs": []}, WORDS
)
REFUSALS = st.builds(lambda text: {"type": "refusal", "refusal": text}, WORDS)
MESSAGES = st.builds(
    lambda parts: {"type": "message", "role": "assistant", "status": "completed", "content": parts},
    st.lists(st.one_of(TEXTS, REFUSALS), max_size=2),
)
CALLS = st.builds(
    lambda name, text: {
        "type": "function_call",
        "call_id": "c",
        "name": name,
        "arguments": text,
        "status": "completed",
    },
    WORDS,
    WORDS,
)
CUSTOM = st.builds(
    lambda text: {"type": "custom_tool_call", "call_id": "d", "name": "run", "input": text}, WORDS
)
REASONING = st.builds(
    lambda summary, content: {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": one} for one in summary],
        "content": [{"type": "reasoning_text", "text": one} for one in content],
        "encrypted_content": "e",
    },
    st.lists(WORDS, max_size=2),
    st.lists(WORDS, max_size=1),
)


def body(items: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    plain = {
        "id": "r",
        "object": "response",
        "created_at": 1.0,
        "model": "m",
        "status": "completed",
        "tools": [],
    }
    known = {"tool_choice": "auto", "parallel_tool_calls": True, "usage": USAGE, "future": {"x": 1.5}}
    return {
        **plain,
        **known,
        "output": [
            {**one, "id": f"i{k}", **({"call_id": f"c{k}"} if "call_id" in one else {})}
            for k, one in enumerate(items)
        ],
        **more,
    }


def gathered(item: Any) -> tuple[Any, ...]:
    """What the SDK gathers of deltas: texts and arguments; anything else it takes of the last event."""
    texts = (
        [part.text for part in item.content if part.type == "output_text"] if item.type == "message" else []
    )
    arguments = item.arguments if item.type == "function_call" else None
    return item.id, item.type, texts, arguments


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(MESSAGES, CALLS, CUSTOM, REASONING), max_size=3))
def test_the_events_of_any_response_are_the_apis_own_and_the_sdk_gathers_the_same_of_them(
    items: list[dict[str, Any]],
) -> None:
    whole = body(items)
    events = list(events_of(whole))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert response_of(events) == whole
    state: Any = ResponseStreamState(input_tools=[], text_format=omit)
    for event in events:
        state.handle_event(EVENT.validate_python(event))
    # SDK 2 keeps a snapshot of the response, SDK 3 its items
    snapshot = getattr(state, "_ResponseStreamState__current_snapshot", None)
    kept = snapshot.output if snapshot is not None else state._output_items.values()
    items_seen = [gathered(item) for item in kept]
    assert items_seen == [gathered(item) for item in Response.model_validate(whole).output]
    texts = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert texts == Response.model_validate(whole).output_text


def test_annotations_and_parts_of_unknown_types_come_whole() -> None:
    note = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
    parts = [
        {"type": "output_text", "text": "a", "annotations": [note]},
        {"type": "output_audio", "data": "x"},
    ]
    events = list(events_of(body([{"type": "message", "role": "assistant", "content": parts}])))
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds[2:-2] == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "content_part.done",
    ]
    assert events[3]["part"] == {"type": "output_text", "text": "", "annotations": []}
    assert (events[5]["annotation"], events[8]["part"]) == (note, parts[1])
    assert (events[5]["output_index"], events[5]["content_index"]) == (0, 0)


def test_a_response_that_was_cut_off_ends_as_incomplete() -> None:
    events = list(events_of(body([], status="incomplete")))
    assert events[-1]["type"] == "response.incomplete"
    assert ends(events[-1])


CALL = {
    "type": "function_call",
    "call_id": "c",
    "name": "add",
    "arguments": '{"a": 1}',
    "status": "completed",
}
SAID = {
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Now.", "annotations": [], "logprobs": []}],
}


def test_pieces_are_the_text_with_its_tokens_and_at_the_end_calls_cost_and_reason() -> None:
    events = list(events_of(body([SAID, CALL])))
    for event in events:
        if event["type"].endswith("text.delta"):
            event["logprobs"] = [{"token": "Now.", "logprob": -0.5}]
    pieces = [piece_of(events[: k + 1], k) for k in range(len(events))]
    assert "".join(piece.text for piece in pieces) == "Now."
    assert [piece.logprobs for piece in pieces if piece.text] == [(-0.5,)]
    assert [piece.raw for piece in pieces] == list(range(len(events)))
    last = pieces[-1]
    assert (last.finish_reason, last.usage) == ("tool_calls", Usage(5, 3, 2))
    assert last.tool_calls == (ToolCall("add", {"a": 1}, "c1"),)
    assert all(piece.finish_reason is None and not piece.tool_calls for piece in pieces[:-1])


def test_a_text_that_comes_at_the_end_alone_is_read_there() -> None:
    whole = {"type": "response.completed", "response": body([SAID])}
    assert piece_of([whole], None).text == "Now."


def test_of_a_stream_that_breaks_off_its_text_and_whole_calls_are_kept() -> None:
    begun = list(events_of(body([SAID, CALL, CALL])))
    done = [k for k, event in enumerate(begun) if event["type"] == "response.output_item.done"]
    whole_call = response_of(begun[: done[2]])
    assert (whole_call["status"], whole_call["id"]) == ("incomplete", "r")
    assert [item["id"] for item in whole_call["output"]] == ["i0", "i1"]
    half = response_of(begun[: done[0]])
    assert half["output"][0]["content"][0]["text"] == "Now."
    assert half["output"][0]["status"] == "incomplete"
    assert response_of([])["output"] == []


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "c", "message": "overloaded"},
        {"type": "error", "error": {"message": "overloaded"}},
        {"error": {"message": "overloaded"}},
        {"type": "response.failed", "response": {"error": {"code": "c", "message": "overloaded"}}},
    ],
)
def test_an_error_in_the_stream_is_the_providers(event: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="overloaded"):
        piece_of([event], None)


@pytest.mark.parametrize(
    "event", [{}, {"type": "response.output_text.delta"}, {"type": "response.completed", "response": {}}]
)
def test_what_is_no_event_of_a_response_is_malformed(event: dict[str, Any]) -> None:
    with pytest.raises(MalformedStream):
        piece_of([event], None)


def test_an_error_after_a_beginning_is_numbered_on_and_fails_the_response() -> None:
    seen = list(events_of(body([SAID])))[:5]
    error, failed = errors_of({"message": "no", "code": 502, "param": None, "type": "t"}, seen)
    assert (error["sequence_number"], failed["sequence_number"]) == (5, 6)
    assert (error["message"], error["code"], error["error"]["type"]) == ("no", "502", "t")
    parsed = EVENT.validate_python(failed).response
    assert (parsed.status, parsed.error.message, parsed.output_text) == ("failed", "no", "Now.")
    assert EVENT.validate_python(error).type == "error"


def test_bytes_of_an_event_name_it_and_keep_what_was_written() -> None:
    assert (
        framed({"type": "a"}, '{"type":  "a",\n"x": 1e2}')
        == b'event: a\ndata: {"type":  "a",\ndata: "x": 1e2}\n\n'
    )
    assert json.loads(framed({"type": "a", "x": "é"}).split(b"data: ")[1]) == {"type": "a", "x": "é"}
