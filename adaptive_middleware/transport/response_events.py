"""Streams of the Responses API: their events as pieces, as the response that they add up to, and made of one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from adaptive_middleware.sampling.chunks import ProviderError, tokens_of
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.sampling.sse import MalformedStream
from adaptive_middleware.transport.responses import calls_of, cost_of, message, reason_of, text_of

Json = Mapping[str, Any]
_Named: TypeAlias = tuple[str, dict[str, Any]]
_DELTA, _DONE = "response.output_text.delta", "response.output_item.done"
_LAST = ("response.completed", "response.incomplete")
_TEXTS = {"output_text": "text", "reasoning_text": "text", "refusal": "refusal"}
_INPUTS = {
    "function_call": ("arguments", "function_call_arguments"),
    "custom_tool_call": ("input", "custom_tool_call_input"),
}
_SHOWN = 300


def ends(event: Json) -> bool:
    """Whether the event says how the response ended, and holds all of it."""
    return event.get("type") in _LAST


def piece_of(seen: Sequence[Json], raw: object) -> Piece:
    """The piece, with `raw`, that the last event of `seen` is; the others are those before it.

    Raises `ProviderError` for a reported error, and `MalformedStream` for a foreign shape.
    """
    event = seen[-1]
    if event.get("type") in ("error", "response.failed") or event.get("error"):
        said = event.get("error") or (event.get("response") or {}).get("error") or event
        message = f"the provider reported an error: {json.dumps(said)[:_SHOWN]}"
        raise ProviderError(message)
    try:
        return _piece(seen, event, raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"an event of the stream is not one ({error}): {json.dumps(event)[:_SHOWN]}"
        raise MalformedStream(message) from error


def _piece(seen: Sequence[Json], event: Json, raw: object) -> Piece:
    if event["type"] == _DELTA:
        return Piece(str(event["delta"]), logprobs=tokens_of({"content": event.get("logprobs")}), raw=raw)
    if not ends(event):
        return Piece(tokens=0, raw=raw)
    whole = response_of(seen)
    # some providers give the text at the end alone
    text = "" if any(one.get("type") == _DELTA for one in seen) else text_of(whole)
    return Piece(text, None if text else 0, (), reason_of(whole), cost_of(whole), calls_of(whole), raw)


def response_of(events: Sequence[Json]) -> dict[str, Any]:
    """The response that the events of one answer add up to: what its last event says, else an incomplete one of what has come.

    Of that, items that were not whole are left out, but for text: half a tool call must not be taken for one.
    """
    for event in reversed(events):
        if ends(event):
            return {**event["response"]}
    head = next((event["response"] for event in events if "response" in event), {"object": "response"})
    items = {event["output_index"]: event["item"] for event in events if event.get("type") == _DONE}
    texts: dict[int, str] = {}
    for event in events:
        if event.get("type") == _DELTA:
            index = event["output_index"]
            texts[index] = texts.get(index, "") + event["delta"]
    items = {index: message(text, "incomplete") for index, text in texts.items()} | items
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    return {**head, **cut, "output": [items[index] for index in sorted(items)]}


def events_of(body: Json) -> Iterator[dict[str, Any]]:
    """The events of a response, numbered from 0: each text and each tool call is one delta."""
    begun = {**body, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    named: list[_Named] = [("created", {"response": begun}), ("in_progress", {"response": begun})]
    for index, item in enumerate(body["output"]):
        named += [(kind, {"output_index": index, **more}) for kind, more in _of_item(item)]
    named.append(("incomplete" if body.get("status") == "incomplete" else "completed", {"response": body}))
    for number, (kind, more) in enumerate(named):
        yield {"type": f"response.{kind}", "sequence_number": number, **more}


def _of_item(item: Json) -> Iterator[_Named]:
    within = {"item_id": item.get("id") or ""}
    field, stem = _INPUTS.get(str(item.get("type")), ("", ""))
    lists: dict[str, Any] = {name: [] for name in ("content", "summary") if item.get(name)}
    empty = {**lists, **({field: ""} if field else {})}
    yield (
        "output_item.added",
        {"item": {**item, **empty, **({"status": "in_progress"} if "status" in item else {})}},
    )
    if field:
        yield f"{stem}.delta", {**within, "delta": item.get(field) or ""}
        named = {"name": item["name"]} if field == "arguments" else {}
        yield f"{stem}.done", {**within, **named, field: item.get(field) or ""}
    for place, part in enumerate(item.get("summary") or ()):
        yield from _of_part("reasoning_summary", {**within, "summary_index": place}, part)
    for place, part in enumerate(item.get("content") or ()):
        yield from _of_part("content", {**within, "content_index": place}, part)
    yield "output_item.done", {"item": item}


def _of_part(family: str, at: Json, part: Json) -> Iterator[_Named]:
    """The events of a part of a message or of reasoning, or of a paragraph of a summary."""
    kind = str(part.get("type"))
    field = "text" if family != "content" else _TEXTS.get(kind)
    if field is None:
        yield "content_part.added", {**at, "part": part}
    else:
        stem = f"{family}_text" if family != "content" else kind
        tokens = {"logprobs": part.get("logprobs") or []} if kind == "output_text" else {}
        bare: dict[str, Any] = {"annotations": []} if part.get("annotations") else {}
        yield f"{family}_part.added", {**at, "part": {**part, **bare, field: ""}}
        yield f"{stem}.delta", {**at, "delta": part[field], **tokens}
        for number, note in enumerate(part.get("annotations") or ()):
            yield "output_text.annotation.added", {**at, "annotation_index": number, "annotation": note}
        yield f"{stem}.done", {**at, field: part[field], **tokens}
    yield f"{family}_part.done", {**at, "part": part}


def next_number(seen: Sequence[Json]) -> int:
    """The `sequence_number` of an event after those that were seen."""
    return 1 + max((event.get("sequence_number") or 0 for event in seen), default=-1)


def errors_of(described: Json, seen: Sequence[Json]) -> Iterator[dict[str, Any]]:
    """The events that end a response with an error, after those of it that were `seen`.

    First `error`: as the API documents it, and with the object `error` that it sends, too; SDKs raise that. Then
    `response.failed`, where the response has begun.

    >>> [event["type"] for event in errors_of({"message": "no", "code": "c"}, [])]
    ['error']
    """
    number = next_number(seen)
    flat = {name: described.get(name) for name in ("code", "message", "param")}
    flat["code"] = None if flat["code"] is None else str(flat["code"])
    yield {"type": "error", "sequence_number": number, **flat, "error": described}
    if any("response" in event for event in seen):
        error = {"code": "server_error", "message": flat["message"]}
        failed = {**response_of(seen), "status": "failed", "error": error, "incomplete_details": None}
        yield {"type": "response.failed", "sequence_number": number + 1, "response": failed}


def framed(event: Json, data: str | None = None) -> bytes:
    r"""An event as bytes; `data` is how it was written, else it is written anew.

    >>> framed({"type": "error"})
    b'event: error\ndata: {"type":"error"}\n\n'
    """
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":")) if data is None else data
    lines = "".join(f"data: {line}\n" for line in text.split("\n"))
    return f"event: {event.get('type')}\n{lines}\n".encode()
