"""The Responses API: which of its requests may be drawn several times, and what its responses say."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from adaptive_middleware.sampling.chunks import tokens_of, usage_of
from adaptive_middleware.steps import Boundary, split_steps
from adaptive_middleware.transport.completions import cost
from adaptive_middleware.transport.text import called_tools, items_text
from adaptive_middleware.types import Path, ToolCall, Usage

Json = Mapping[str, Any]

_ONCE = ("background", "conversation", "previous_response_id", "prompt", "store")
_HARMLESS = ("function", "custom")
_CUT_OFF = {"reason": "max_output_tokens"}


def question(body: Json) -> str | None:
    """What a process reward model reads as the question; None for a request that must go out once."""
    return items_text(body["input"]) if repeatable(body) else None


def repeatable(body: Json) -> bool:
    """Whether a response may be drawn several times: with no more effect than its cost, from a question that can be read.

    Not one that the client asks to be stored, that runs in the background, goes on from what is stored at the
    provider (a conversation, another response, a prompt), or may use tools that run there. Raises what a body
    of a foreign shape raises.

    >>> repeatable({"input": "?", "tools": [{"type": "function"}]}), repeatable({"input": "?", "store": True})
    (True, False)
    """
    tools = body.get("tools") or ()
    return not any(body.get(name) for name in _ONCE) and all(tool["type"] in _HARMLESS for tool in tools)


def path_of(body: Json, raw: object, boundary: Boundary = "auto") -> Path:
    """The path of a response, with `raw`; raises `ValueError` for one that has failed or is not done, and as foreign shapes do."""
    if body.get("status") not in (None, "completed", "incomplete"):
        message = f"the response is {body.get('status')}"
        raise ValueError(message)
    logprobs = (value for part in _texts(body) for value in tokens_of({"content": part.get("logprobs")}))
    return Path(
        steps=tuple(split_steps(text_of(body), boundary)),
        done=body.get("status") != "incomplete",
        finish_reason=reason_of(body),
        tool_calls=calls_of(body),
        logprobs=tuple(logprobs) or None,
        usage=cost(cost_of(body)),
        raw=raw,
    )


def text_of(body: Json) -> str:
    """The text of a response: that of all its messages, as the SDK's `output_text` has it."""
    return "".join(str(part.get("text") or "") for part in _texts(body))


def reason_of(body: Json) -> str:
    """How a response ended, in the words of chat completions."""
    if body.get("status") == "incomplete":
        return "length"
    return "tool_calls" if any(_calls(body["output"])) else "stop"


def calls_of(body: Json) -> tuple[ToolCall, ...]:
    """The calls of functions and custom tools."""
    return called_tools({"tool_calls": [*_calls(body["output"])]})


def cost_of(body: Json) -> Usage | None:
    """What the provider counted; None where it did not."""
    written = body.get("usage")
    if not isinstance(written, Mapping):
        return None
    named = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
    counts = {name: written.get(theirs) for name, theirs in named.items()}
    return usage_of({**counts, "prompt_tokens_details": written.get("input_tokens_details")})


def counted(prompt: int, completion: int) -> dict[str, int]:
    """Counts of tokens as a response's `usage`."""
    return {"input_tokens": prompt, "output_tokens": completion, "total_tokens": prompt + completion}


def worded(text: str, whole: bool, head: Json) -> dict[str, Any]:
    """A response that says `text` and nothing else, with all other fields of `head`.

    >>> worded("No.", True, {"id": "r", "output": [1]})["output"][0]["content"]
    [{'type': 'output_text', 'text': 'No.', 'annotations': []}]
    """
    status = "completed" if whole else "incomplete"
    begun = {"id": "adaptive", "object": "response", "created_at": int(time.time()), **head, "status": status}
    cut = {"incomplete_details": None if whole else _CUT_OFF}
    return {**begun, **cut, "output": [message(text, status)]}


def message(text: str, status: str, name: str = "adaptive") -> dict[str, Any]:
    """An item of an output that is text alone."""
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": name, "role": "assistant", "status": status, "content": [part]}


def _texts(body: Json) -> Iterator[Json]:
    parts = (part for item in body["output"] for part in item.get("content") or ())
    return (part for part in parts if part.get("type") == "output_text")


def _calls(items: Iterable[Json]) -> Iterator[Json]:
    """The tool calls of an output, in the form of chat completions."""
    for item in items:
        if item.get("type") == "function_call":
            yield {"id": item.get("call_id"), "function": item}
        elif item.get("type") == "custom_tool_call":
            yield {"id": item.get("call_id"), "custom": item}
