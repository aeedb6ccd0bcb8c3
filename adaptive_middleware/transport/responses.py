"""The Responses API: which of its requests may be drawn several times, and what its requests and replies say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from adaptive_middleware.sampling.chunks import tokens_of, usage_of
from adaptive_middleware.steps import split_steps
from adaptive_middleware.transport.replies import Completion, Refused, Reply
from adaptive_middleware.transport.text import called_tools, content_text
from adaptive_middleware.types import Path, Usage

Json = Mapping[str, Any]


def answer(reply: Reply) -> tuple[Completion, Path]:
    """The response that a reply is, and the path of it; raises `Refused` for one that failed or has no output."""
    try:
        if not 200 <= reply.status < 300:
            raise Refused(reply)
        body = json.loads(reply.content)
        if body.get("status") not in (None, "completed", "incomplete"):
            raise Refused(reply)
        completion = Completion(reply, body)
        return completion, _path(completion)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise Refused(reply) from error


def _path(completion: Completion) -> Path:
    body = completion.body
    parts = [part for item in body["output"] for part in item.get("content") or () if "text" in part]
    said = [part for part in parts if part.get("type") == "output_text"]
    calls = called_tools({"tool_calls": [*_calls(body["output"])]})
    done = body.get("status") != "incomplete"
    return Path(
        steps=tuple(split_steps("".join(content_text([part]) for part in said))),
        done=done,
        finish_reason=("tool_calls" if calls else "stop") if done else "length",
        tool_calls=calls,
        logprobs=tuple(value for part in said for value in tokens_of({"content": part.get("logprobs")}))
        or None,
        usage=_usage(body.get("usage") or {}) + Usage(requests=1),
        raw=completion,
    )


def _calls(items: list[Json]) -> Iterator[Json]:
    """The tool calls of an output, in the form of chat completions."""
    for item in items:
        if item.get("type") == "function_call":
            yield {"id": item.get("call_id"), "function": item}
        elif item.get("type") == "custom_tool_call":
            yield {"id": item.get("call_id"), "custom": item}


def _usage(written: Json) -> Usage:
    named = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
    counts = {name: written.get(theirs) for name, theirs in named.items()}
    return usage_of({**counts, "prompt_tokens_details": written.get("input_tokens_details")}) or Usage()
