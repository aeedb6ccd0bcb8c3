"""Chunks of OpenAI-compatible streams as pieces, and their bodies; one choice a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.sampling.sse import MalformedStream
from adaptive_middleware.types import ToolCall, Usage

Json = Mapping[str, Any]
_SHOWN = 300


class ProviderError(SamplerError):
    """The endpoint reported an error inside an answer that had begun with HTTP 200."""

    code = "AMW-E313"
    remedy = "Do as the error of the provider says, which the message repeats."


@dataclass(slots=True)
class Chunks:
    """Turns chunks into pieces; parts of tool calls are kept until the answer says how it ended."""

    calls: dict[int, dict[str, str]] = field(default_factory=dict)

    def piece(self, chunk: Json) -> Piece:
        """The piece that a chunk is; raises `ProviderError` for a reported error, `MalformedStream` for a foreign shape."""
        if chunk.get("error"):
            message = f"the endpoint reported an error: {json.dumps(chunk['error'])[:_SHOWN]}"
            raise ProviderError(message)
        try:
            return self._piece(chunk)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            shown = json.dumps(chunk)[:_SHOWN]
            message = f"a chunk of the stream is not one ({type(error).__name__}: {error}): {shown}"
            raise MalformedStream(message) from error

    def _piece(self, chunk: Json) -> Piece:
        choices = chunk["choices"] if "usage" not in chunk else chunk.get("choices") or []
        usage = usage_of(chunk.get("usage"))
        if not choices:
            return Piece(usage=usage, tokens=0, raw=chunk)
        choice = choices[0]
        delta = choice.get("delta") or {}
        for part in delta.get("tool_calls") or ():
            self._part(part)
        text = str(delta.get("content") or choice.get("text") or "")
        logprobs = tokens_of(choice.get("logprobs"))
        reason = choice.get("finish_reason")
        calls = self._whole_calls() if reason is not None else ()
        silent = 0 if not (text or logprobs or delta.get("tool_calls")) else None
        return Piece(text, silent, logprobs, None if reason is None else str(reason), usage, calls, chunk)

    def _part(self, part: Json) -> None:
        function = part.get("function") or {}
        call = self.calls.setdefault(int(part.get("index") or 0), {"id": "", "name": "", "arguments": ""})
        call["id"] = str(part.get("id") or call["id"])
        call["name"] += str(function.get("name") or "")
        call["arguments"] += str(function.get("arguments") or "")

    def _whole_calls(self) -> tuple[ToolCall, ...]:
        made = [self.calls[index] for index in sorted(self.calls)]
        self.calls = {}
        return tuple(_call(one["name"], one["arguments"], one["id"] or None) for one in made)


def _call(name: str, arguments: str, name_of_call: str | None) -> ToolCall:
    found = json.loads(arguments or "{}")
    if not isinstance(found, dict):
        message = f"arguments of {name!r} are not an object: {arguments[:80]!r}"
        raise TypeError(message)
    return ToolCall(name, found, name_of_call)


def usage_of(written: Json | None) -> Usage | None:
    """The provider's counts, whatever they are: whether they can be believed is for the reading to say."""
    if not isinstance(written, Mapping):
        return None
    cached = (written.get("prompt_tokens_details") or {}).get("cached_tokens")
    return Usage(
        _count(written.get("prompt_tokens")), _count(written.get("completion_tokens")), _count(cached)
    )


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return int(value) if abs(value) < 1e18 else -1


def tokens_of(written: Json | None) -> tuple[float, ...]:
    """Log-probabilities of the tokens of a choice, of chat completions (`content`) or of plain ones (`token_logprobs`)."""
    if not written:
        return ()
    tokens: Sequence[Any] = written.get("content") or ()
    plain: Sequence[Any] = written.get("token_logprobs") or ()
    values = [*(token["logprob"] for token in tokens), *(value for value in plain if value is not None)]
    return tuple(min(float(value), 0.0) for value in values)
