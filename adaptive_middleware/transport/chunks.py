"""Chunks and completions, each made of the other: OpenAI's two forms of one answer, whatever fields a provider adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]
CUT_OFF = "length"
"""The finish reason of an answer that ended without one: what clients take for incomplete."""


def completion_of(chunks: Sequence[Json]) -> dict[str, Any]:
    """The completion that the chunks of one answer add up to.

    >>> begun = {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "4"}}]}
    >>> ended = {"id": "c", "choices": [{"index": 0, "delta": {"content": "2"}, "finish_reason": "stop"}]}
    >>> completion_of([begun, ended])["choices"]
    [{'index': 0, 'message': {'role': 'assistant', 'content': '42'}, 'finish_reason': 'stop'}]
    """
    head: dict[str, Any] = {}
    message: dict[str, Any] = {"role": "assistant", "content": None}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": None}
    for chunk in chunks:
        head |= {k: v for k, v in chunk.items() if k != "choices" and (v is not None or k not in head)}
        for one in chunk.get("choices") or ():
            _add(message, one.get("delta") or {})
            _add(choice, {k: v for k, v in one.items() if k not in ("index", "delta", "finish_reason")})
            choice["finish_reason"] = one.get("finish_reason") or choice["finish_reason"]
    for call in message.get("tool_calls") or ():
        call.pop("index", None)
    choice["finish_reason"] = choice["finish_reason"] or CUT_OFF
    return {**head, "object": "chat.completion", "choices": [choice]}


def chunks_of(body: Json) -> Iterator[dict[str, Any]]:
    """The chunks of a completion: of each choice its role, other fields, content, tool calls, and how it ended."""
    head = {k: v for k, v in body.items() if k not in ("choices", "usage", "object")}
    head["object"] = "chat.completion.chunk"
    for number, choice in enumerate(body["choices"]):
        index = choice.get("index", number)
        logprobs = choice.get("logprobs")
        for delta in _deltas(choice["message"]):
            said = {"logprobs": logprobs} if delta.get("content") and logprobs else {}
            yield {**head, "choices": [{"index": index, "delta": delta, **said, "finish_reason": None}]}
        rest = {k: v for k, v in choice.items() if k not in ("index", "message", "logprobs")}
        yield {**head, "choices": [{**ended(choice.get("finish_reason")), **rest, "index": index}]}


def ended(reason: str | None) -> dict[str, Any]:
    """The choice of a chunk that says nothing but how the answer ended."""
    return {"index": 0, "delta": {}, "finish_reason": reason or CUT_OFF}


def _deltas(message: Json) -> Iterator[dict[str, Any]]:
    content = message.get("content")
    yield {"role": message.get("role") or "assistant", "content": "" if isinstance(content, str) else None}
    others = {k: v for k, v in message.items() if k not in ("role", "content", "tool_calls") and v}
    if others:
        yield others
    if content:
        yield {"content": content}
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield {"tool_calls": [{**call, "index": index}]}


def _add(summed: dict[str, Any], delta: Json) -> None:
    """Add a delta: text is appended, objects are merged, items of lists with the same `index` are one."""
    for name, value in delta.items():
        old = summed.get(name)
        if isinstance(value, str) and isinstance(old, str) and name not in ("role", "id", "type"):
            summed[name] = old + value
        elif isinstance(value, list):
            summed[name] = old = old if isinstance(old, list) else []
            _extend(old, value)
        elif isinstance(value, dict):
            summed[name] = old = old if isinstance(old, dict) else {}
            _add(old, value)
        elif value is not None or name not in summed:
            summed[name] = value


def _extend(items: list[Any], more: Sequence[Any]) -> None:
    for item in more:
        index = item.get("index") if isinstance(item, dict) else None
        same = [one for one in items if index is not None and one.get("index") == index]
        if same:
            _add(same[0], item)
        elif isinstance(item, dict):
            items.append({})
            _add(items[-1], item)
        else:
            items.append(item)
