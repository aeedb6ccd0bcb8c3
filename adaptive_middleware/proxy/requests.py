"""Chat completions as the core's requests: what rules look at, and the conversation as the scorer reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from adaptive_middleware.types import Request

_UNREAD = ("system", "developer")


def request_of(
    values: Mapping[str, Any],
    *,
    model: str | None,
    tags: frozenset[str] = frozenset(),
    call_site: str | None = None,
) -> Request:
    """The request of a chat completion with these values; they are handed on as they are."""
    messages, tools = values.get("messages"), values.get("tools")
    parameters = {name: value for name, value in values.items() if name not in {"messages", "tools"}}
    if model is not None:
        parameters["model"] = model
    return Request(
        text=conversation_text(messages if isinstance(messages, list) else ()),
        messages=messages if isinstance(messages, list) else (),
        tools=tools if isinstance(tools, list) else (),
        parameters=parameters,
        tags=tags,
        model=model,
        call_site=call_site,
    )


def conversation_text(messages: Sequence[Any]) -> str:
    r"""What a process reward model reads as the question.

    A conversation of one message of the user is that message's text. Otherwise every message is a paragraph
    `role: text`, in order; tool calls are written `name(arguments)`, and parts that are not text `[type]`. System
    messages are left out: they tell the model how to answer, not what.

    >>> conversation_text([{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": None}])
    'user: 2 + 2?\n\nassistant: '
    """
    turns = [one for one in messages if isinstance(one, Mapping) and one.get("role") not in _UNREAD]
    if len(turns) == 1 and turns[0].get("role") == "user":
        return _text(turns[0])
    return "\n\n".join(f"{one.get('role')}: {_text(one)}" for one in turns)


def content_text(content: object) -> str:
    r"""The text of a message's content: a text, parts, or null.

    >>> content_text([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "x"}}])
    'What is this?\n[image_url]'
    """
    if isinstance(content, list):
        return "\n".join(filter(None, map(_part, content)))
    return content if isinstance(content, str) else ""


def _text(message: Mapping[str, Any]) -> str:
    calls = message.get("tool_calls")
    written = [_call(one) for one in calls] if isinstance(calls, list) else []
    return "\n".join(filter(None, [content_text(message.get("content")), *written]))


def _part(part: object) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    kind = part.get("type", "part")
    return str(part.get("text") or "") if kind in {"text", "input_text"} else f"[{kind}]"


def _call(call: object) -> str:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return json.dumps(call)
    return f"{function.get('name')}({function.get('arguments')})"
