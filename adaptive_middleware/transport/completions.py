"""Chat completions: what a completion says, what each of its chunks does, and one made of a text."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from adaptive_middleware.sampling.chunks import ProviderError, tokens_of, usage_of
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.sampling.sse import MalformedStream
from adaptive_middleware.steps import Boundary, split_steps
from adaptive_middleware.transport.chunks import CUT_OFF, completion_of
from adaptive_middleware.transport.text import called_tools, content_text, conversation_text
from adaptive_middleware.types import Path, Usage

Json = Mapping[str, Any]
_SHOWN = 300


def question(body: Json) -> str | None:
    """What a process reward model reads as the question; None for a request of several choices: its client wants them all."""
    return conversation_text(body["messages"]) if body.get("n") in (None, 1) else None


def path_of(body: Json, raw: object, boundary: Boundary = "auto") -> Path:
    """The path of a completion's first choice, with `raw`; raises what a foreign shape raises."""
    choice = body["choices"][0]
    message, reason = choice["message"], choice.get("finish_reason")
    return Path(
        steps=tuple(split_steps(content_text(message.get("content")), boundary)),
        done=reason != CUT_OFF,
        finish_reason=reason,
        tool_calls=called_tools(message),
        logprobs=tokens_of(choice.get("logprobs")) or None,
        usage=cost(usage_of(body.get("usage"))),
        raw=raw,
    )


def cost(said: Usage | None) -> Usage:
    """What one request cost by the provider's counts, of which those below 0 are none."""
    if said is None:
        return Usage(requests=1, estimated=True)
    counts = (max(said.prompt_tokens, 0), max(said.completion_tokens, 0), max(said.cached_tokens, 0))
    return Usage(*counts, requests=1)


def piece_of(seen: Sequence[Json], raw: object) -> Piece:
    """The piece, with `raw`, that the last chunk of `seen` is; the others are those before it.

    Raises `ProviderError` for a reported error, and `MalformedStream` for a foreign shape.
    """
    chunk = seen[-1]
    if chunk.get("error"):
        message = f"the provider reported an error: {json.dumps(chunk['error'])[:_SHOWN]}"
        raise ProviderError(message)
    try:
        return _piece(seen, chunk, raw)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        message = f"a chunk of the stream is not one ({error}): {json.dumps(chunk)[:_SHOWN]}"
        raise MalformedStream(message) from error


def _piece(seen: Sequence[Json], chunk: Json, raw: object) -> Piece:
    choice = (chunk.get("choices") or [{}])[0]
    delta, reason = choice.get("delta") or {}, choice.get("finish_reason")
    logprobs = tokens_of(choice.get("logprobs"))
    calls = () if reason is None else called_tools(completion_of(seen)["choices"][0]["message"])
    text = content_text(delta.get("content"))
    tokens = None if text or logprobs or delta.get("tool_calls") else 0
    return Piece(text, tokens, logprobs, reason, usage_of(chunk.get("usage")), calls, raw)


def worded(text: str, whole: bool, head: Json) -> dict[str, Any]:
    """A completion that says `text` and nothing else, with all other fields of `head`."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop" if whole else CUT_OFF}
    made = {"id": "chatcmpl-adaptive", "object": "chat.completion", "created": int(time.time())}
    return {**made, **head, "choices": [choice]}


def counted(prompt: int, completion: int) -> dict[str, int]:
    """Counts of tokens as a completion's `usage`."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
