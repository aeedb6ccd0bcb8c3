"""The text views of OpenAI's JSON: what a process reward model reads of a conversation, and of an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adaptive_middleware.types import ToolCall

Json = Mapping[str, Any]
NOT_JSON = "(not JSON)"
"""The one argument of a tool call whose arguments cannot be read; no schema asks for it."""
_INSTRUCTIONS = ("system", "developer")
_TEXTS = ("text", "input_text", "output_text")


def conversation_text(messages: Sequence[Json]) -> str:
    r"""What a process reward model reads as the question.

    A conversation of one user message is that message's text. Otherwise every message is a paragraph `role: text`,
    in order; tool calls are written `name(arguments)`, and parts that are not text `[type]`. System and developer
    messages are left out: they tell the model how to answer, not what.

    >>> conversation_text([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}])
    '2 + 2?'
    >>> conversation_text([{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}])
    'user: 2 + 2?\n\nassistant: 4'
    """
    turns = [message for message in messages if message.get("role") not in _INSTRUCTIONS]
    if len(turns) == 1 and turns[0].get("role") == "user":
        return _paragraph(turns[0])
    return "\n\n".join(f"{message.get('role')}: {_paragraph(message)}" for message in turns)


def items_text(given: str | Sequence[Json]) -> str:
    r"""The same of the `input` of the Responses API, whose tool calls and their results are items of their own.

    >>> called = {"type": "function_call", "call_id": "1", "name": "now", "arguments": "{}"}
    >>> items_text([{"role": "user", "content": "Late?"}, called, {"type": "function_call_output", "output": "9 pm"}])
    'user: Late?\n\nassistant: now({})\n\ntool: 9 pm'
    """
    return given if isinstance(given, str) else conversation_text([_turn(item) for item in given])


def _turn(item: Json) -> Json:
    kind = item.get("type", "message")
    if kind == "message":
        return item
    if kind.endswith("_output"):
        return {"role": "tool", "content": item.get("output")}
    called = {"function_call": "function", "custom_tool_call": "custom"}.get(kind)
    if called is not None:
        return {"role": "assistant", "tool_calls": [{called: item}]}
    return {"role": "assistant", "content": [{"type": kind}]}


def content_text(content: object) -> str:
    """The text of a message's content, which is a string, null, or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(text for text in map(_part, parts) if text)


def called_tools(message: Json) -> tuple[ToolCall, ...]:
    """The tool calls of an answer, functions and custom tools; those that cannot be read are calls, too: see `arguments_of`.

    >>> function = {"name": "add", "arguments": '{"a": 1}'}
    >>> called_tools({"tool_calls": [{"id": "c1", "type": "function", "function": function}]})
    (ToolCall(name='add', arguments={'a': 1}, id='c1'),)
    """
    return tuple(
        ToolCall(name, arguments_of(arguments), id_) for name, arguments, id_ in _written_calls(message)
    )


def arguments_of(written: str) -> Mapping[str, object]:
    """The arguments of a tool call; those that are no JSON object as `NOT_JSON`.

    >>> arguments_of('{"a": 1}'), arguments_of('{"a": ')
    ({'a': 1}, {'(not JSON)': '{"a": '})
    """
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {NOT_JSON: written}


def _paragraph(message: Json) -> str:
    calls = (f"{name}({arguments})" for name, arguments, _ in _written_calls(message))
    return "\n".join(part for part in (content_text(message.get("content")), *calls) if part)


def _part(part: object) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    kind = part.get("type", "part")
    return str(part.get("text") or "") if kind in _TEXTS else f"[{kind}]"


def _written_calls(message: Json) -> Iterator[tuple[str, str, str | None]]:
    """Name, arguments as they are written, and id of each call."""
    for call in message.get("tool_calls") or ():
        if custom := call.get("custom"):
            yield custom["name"], json.dumps({"input": custom.get("input")}), call.get("id")
        else:
            yield call["function"]["name"], call["function"].get("arguments") or "{}", call.get("id")
    if old := message.get("function_call"):
        yield old["name"], old.get("arguments") or "{}", None
