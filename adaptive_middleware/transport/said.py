"""What was said: the messages of a request body, where a strategy has added some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adaptive_middleware.types import Request


def said(body: Mapping[str, Any], request: Request) -> dict[str, object]:
    r"""The change of `body` that says what `request` says: none where its messages are those of the body.

    >>> said({"messages": [1]}, Request("q", messages=[1])), said({"input": "q"}, Request("q", messages=("q\n\na",)))
    ({}, {'input': 'q\n\na'})
    """
    name = "messages" if "messages" in body else "input"
    given, now = body.get(name), list(request.messages)
    if not now or now in (given, [given]):
        return {}
    return {name: now[0] if isinstance(given, str) else now}
