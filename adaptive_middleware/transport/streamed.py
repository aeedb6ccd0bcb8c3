"""Answers that are read from the provider's streams: its events as pieces, and all of them as a completion again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adaptive_middleware.errors import NotStreaming, SamplerError
from adaptive_middleware.sampling.chunks import ProviderError, tokens_of, usage_of
from adaptive_middleware.sampling.reading import Piece, Reading
from adaptive_middleware.sampling.refusing import refuses_streams
from adaptive_middleware.sampling.sse import DONE, Events, MalformedStream, as_json
from adaptive_middleware.transport.chunks import completion_of
from adaptive_middleware.transport.replies import Completion, Refused, Reply
from adaptive_middleware.transport.text import called_tools, content_text

_SHOWN = 300


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """One chunk of a stream, with the head of the reply that it came in; the `raw` of a piece."""

    head: Reply
    body: Mapping[str, Any]


@dataclass(slots=True)
class Parsing:
    """Bytes of one streamed answer to its pieces; `head` is the reply without its body."""

    head: Reply
    events: Events = field(default_factory=Events)
    seen: list[Mapping[str, Any]] = field(default_factory=list)
    over: bool = False

    def pieces(self, block: bytes | None) -> Iterator[Piece]:
        """The pieces that `block` completes, None for the end; raises `MalformedStream` or `ProviderError`."""
        for data in self.events.end() if block is None else self.events.feed(block):
            if data.strip() == DONE:
                self.over = True
                return
            yield self._checked(as_json(data))

    def _checked(self, chunk: Mapping[str, Any]) -> Piece:
        if chunk.get("error"):
            message = f"the provider reported an error: {json.dumps(chunk['error'])[:_SHOWN]}"
            raise ProviderError(message)
        try:
            self.seen.append(chunk)
            return self._piece(chunk)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            message = f"a chunk of the stream is not one ({error}): {json.dumps(chunk)[:_SHOWN]}"
            raise MalformedStream(message) from error

    def _piece(self, chunk: Mapping[str, Any]) -> Piece:
        choice = (chunk.get("choices") or [{}])[0]
        delta, reason = choice.get("delta") or {}, choice.get("finish_reason")
        logprobs = tokens_of(choice.get("logprobs"))
        calls = () if reason is None else called_tools(completion_of(self.seen)["choices"][0]["message"])
        text = content_text(delta.get("content"))
        tokens = None if text or logprobs or delta.get("tool_calls") else 0
        usage, raw = usage_of(chunk.get("usage")), Chunk(self.head, chunk)
        return Piece(text, tokens, logprobs, reason, usage, calls, raw)


def opened(head: Reply) -> Parsing:
    """The parsing of a reply that is a stream of events; `head.content` is its body where it is none.

    Raises `NotStreaming` where the provider answers in one piece or refuses to stream, and else `Refused`.
    """
    success = 200 <= head.status < 300
    kind = next((value for name, value in head.headers if name.lower() == "content-type"), "")
    if success and kind.lower().startswith("text/event-stream"):
        return Parsing(head)
    shown = head.content[:_SHOWN].decode(errors="replace")
    if refuses_streams(head.status, shown) or (success and '"choices"' in shown):
        message = f"the provider does not stream: HTTP {head.status}: {shown}"
        raise NotStreaming(message)
    raise Refused(head)


def is_stream(headers: Sequence[tuple[str, str]]) -> bool:
    """Whether these are headers of a stream of events, whose body is read as it comes."""
    return any(k.lower() == "content-type" and v.lower().startswith("text/event-stream") for k, v in headers)


def finish(pieces: Sequence[Piece]) -> Completion:
    """The completion of a whole streamed answer; raises `SamplerError` for a stream without chunks."""
    chunks = chunks_in(pieces)
    if not chunks:
        message = "the provider's stream has ended without a chunk"
        raise SamplerError(message)
    bodies = [chunk.body for chunk in chunks]
    return Completion(chunks[0].head, completion_of(bodies), tuple(bodies))


def chunks_in(pieces: Sequence[Piece]) -> list[Chunk]:
    """The provider's own chunks, in order."""
    return [piece.raw for piece in pieces if isinstance(piece.raw, Chunk)]


def spent(reading: Reading) -> dict[str, Any]:
    """What a streamed answer cost, as a body with `usage`: as the provider counts, or as it was read when it was closed."""
    counted = reading.usage()
    said = [chunk.body["usage"] for chunk in chunks_in(reading.pieces) if chunk.body.get("usage")]
    known = usage_of(said[-1]) if said else None
    prompt, completion = counted.prompt_tokens, counted.completion_tokens
    if known is not None and (known.prompt_tokens, known.completion_tokens) == (prompt, completion):
        return {"usage": said[-1]}
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {"usage": usage}
