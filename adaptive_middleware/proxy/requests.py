"""Calls as the core's requests: what rules look at, and the conversation as the scorer reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adaptive_middleware.rules import Rule
from adaptive_middleware.transport.wire import FOREIGN, RESPONSES, Wire
from adaptive_middleware.types import Request


def question_of(values: Mapping[str, Any], wire: Wire) -> str | None:
    """What a process reward model reads as the question; None for a call that goes out once, as it is.

    That is one whose client wants several choices, one that would have several effects, and one that cannot be read:
    what is wrong with it is for the upstream to say.
    """
    try:
        return wire.question(values)
    except FOREIGN:
        return None


def guarded(values: Mapping[str, Any], rule: Rule, wire: Wire) -> bool:
    """Whether a call that goes out once is still subject to the rule's tools: a response whose answer is waited for."""
    return wire is RESPONSES and bool(rule.tools) and not values.get("background")


def request_of(
    values: Mapping[str, Any],
    wire: Wire,
    *,
    model: str | None,
    tags: frozenset[str] = frozenset(),
    call_site: str | None = None,
) -> Request:
    """The request of a call with these values; they are handed on as they are."""
    asked, tools = values.get(wire.asked), values.get("tools")
    parameters = {name: value for name, value in values.items() if name not in {wire.asked, "tools"}}
    if model is not None:
        parameters["model"] = model
    return Request(
        text=question_of(values, wire) or "",
        messages=asked if isinstance(asked, list) else (asked,) if isinstance(asked, str) else (),
        tools=tools if isinstance(tools, list) else (),
        parameters=parameters,
        tags=tags,
        model=model,
        call_site=call_site,
    )
