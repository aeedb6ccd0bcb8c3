"""The Responses API of the fake OpenAI server: its requests read as chat completions, answers written as responses and events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adaptive_middleware.testing.fake_answers import Json, Reply, behaviours

_CALL, _TEXT = "function_call", "output_text"


def chat_of(body: Json) -> dict[str, Any]:
    """The chat completion that asks the same as a request for a response."""
    given = body.get("input", "")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    chat = {"model": body["model"], "messages": [turn for item in items for turn in _turns(item)]}
    chat["tools"] = [{"function": tool} for tool in body.get("tools") or () if tool["type"] == "function"]
    choice, form = body.get("tool_choice", "auto"), (body.get("text") or {}).get("format")
    chat["tool_choice"] = {"function": choice} if isinstance(choice, Mapping) else choice
    if form is not None:
        chat["response_format"] = {**form, "json_schema": form}
    return chat


def _turns(item: Json) -> Iterator[Json]:
    kind = item.get("type", "message")
    if kind == "message":
        yield item
    elif kind == _CALL:
        yield {"role": "assistant", "content": None, "tool_calls": [{"function": item}]}
    elif kind == f"{_CALL}_output":
        yield {"role": "tool", "content": item["output"]}


def response(body: Json, one: Reply, number: int, usage: Json) -> dict[str, Any]:
    """A completed response; `usage` counts as chat completions do. `+reasoning` puts an item of reasoning before the answer."""
    return {**_head(body, number), "status": "completed", "output": _items(body, one, number), "usage": {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": usage["total_tokens"],
    }}  # fmt: skip


def _head(body: Json, number: int) -> dict[str, Any]:
    asked = {name: body.get(name) for name in ("instructions", "metadata", "previous_response_id", "tools")}
    plain = {"object": "response", "created_at": 0, "error": None, "incomplete_details": None}
    choice = body.get("tool_choice", "auto")
    known = {"model": body["model"], "parallel_tool_calls": True, "tool_choice": choice, "temperature": 1.0}
    return {"id": f"resp-{number}", **plain, **asked, **known, "tools": body.get("tools") or []}


def _items(body: Json, one: Reply, number: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if "reasoning" in behaviours(body["model"]):
        summary = [{"type": "summary_text", "text": "I think."}]
        items.append({"id": f"rs-{number}", "type": "reasoning", "summary": summary})
    for k, (name, arguments) in enumerate(one.calls):
        named = {"call_id": f"call-{k}", "name": name, "arguments": arguments}
        items.append({"id": f"fc-{number}-{k}", "type": _CALL, **named, "status": "completed"})
    if not one.calls:
        part = {"type": _TEXT, "text": one.text, "annotations": [], "logprobs": []}
        said = {"role": "assistant", "status": "completed", "content": [part]}
        items.append({"id": f"msg-{number}", "type": "message", **said})
    return items


def events(whole: Json) -> Iterator[str]:
    """The server-sent events of a response, numbered from 0: words of text, arguments of tools in pieces of 7."""
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    made: list[tuple[str, dict[str, Any]]] = [
        ("created", {"response": begun}),
        ("in_progress", {"response": begun}),
    ]
    for index, item in enumerate(whole["output"]):
        made += [(kind, {"output_index": index, **more}) for kind, more in _of_item(item)]
    made.append(("completed", {"response": whole}))
    for number, (kind, more) in enumerate(made):
        event = {"type": f"response.{kind}", "sequence_number": number, **more}
        yield f"event: response.{kind}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"


def _of_item(item: Json) -> Iterator[tuple[str, dict[str, Any]]]:
    within = {"item_id": item["id"]}
    empty: dict[str, Any] = (
        {"content": []} if item["type"] == "message" else {"arguments": ""} if item["type"] == _CALL else {}
    )
    yield "output_item.added", {"item": {**item, **empty, "status": "in_progress"}}
    if item["type"] == _CALL:
        for part in _cut(item["arguments"]):
            yield "function_call_arguments.delta", {**within, "delta": part}
        yield "function_call_arguments.done", {**within, "name": item["name"], "arguments": item["arguments"]}
    for place, part in enumerate(item.get("content") or ()):
        at = {**within, "content_index": place}
        yield "content_part.added", {**at, "part": {**part, "text": ""}}
        for word in _words(part["text"]):
            yield "output_text.delta", {**at, "delta": word, "logprobs": []}
        yield "output_text.done", {**at, "text": part["text"], "logprobs": []}
        yield "content_part.done", {**at, "part": part}
    yield "output_item.done", {"item": item}


def _cut(text: str) -> Sequence[str]:
    return [text[start : start + 7] for start in range(0, len(text), 7)]


def _words(text: str) -> Sequence[str]:
    words = text.split(" ")
    return [*(f"{word} " for word in words[:-1]), words[-1]]
