"""A provider that takes plain short chats only, each as a whole; everything else it refuses as OpenAI does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from adaptive_middleware.testing.fake_sse import Script, whole_reply

HI: list[Any] = [{"role": "user", "content": "Hi"}]
TOOLS = [
    {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
]
ASKED: dict[str, tuple[int, dict[str, Any]]] = {
    "tools": (400, {"tools": TOOLS}),
    "n": (400, {"n": 2}),
    "stream": (400, {"stream": True}),
    "prefix": (422, {"messages": [*HI, {"role": "assistant", "content": "It is"}]}),
    "size": (413, {"messages": [{"role": "user", "content": "x" * 5000}]}),
    "key": (401, {}),
}
"""What is refused: with which status, and what a request for it has that others have not."""

_ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "42"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def refuse(body: Mapping[str, Any]) -> Script:
    """The script of every model of `fake_sse`: what is wrong with a request is refused, the rest is answered."""
    what = next((name for name, wrong in _WRONG.items() if wrong(body)), None)
    if what is None:
        return [whole_reply(_ANSWER)]
    error = {"message": f"no {what} here", "type": "invalid_request_error", "param": what, "code": None}
    return [whole_reply({"error": error}, status=ASKED[what][0], x_request_id="req-7")]


_WRONG: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "key": lambda body: body["model"].endswith("key"),
    "tools": lambda body: "tools" in body,
    "n": lambda body: body.get("n", 1) > 1,
    "stream": lambda body: bool(body.get("stream")),
    "prefix": lambda body: body["messages"][-1]["role"] == "assistant",
    "size": lambda body: len(json.dumps(body)) > 5000,
}
