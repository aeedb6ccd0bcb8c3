"""Answers that are read from the provider's streams: its events as pieces, and all of them as a completion again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adaptive_middleware.errors import NotStreaming, SamplerError
from adaptive_middleware.sampling.reading import Piece, Reading
from adaptive_middleware.sampling.refusing import refuses_streams
from adaptive_middleware.sampling.sse import DONE, Events, as_json
from adaptive_middleware.transport.replies import Completion, Refused, Reply
from adaptive_middleware.transport.wire import Wire

_SHOWN = 300
_LARGEST = 16 << 20  # the last event of a response holds all of it
_WHOLE = ('"choices"', '"response"')


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """One chunk of a stream, with the head of the reply that it came in; the `raw` of a piece."""

    head: Reply
    body: Mapping[str, Any]


@dataclass(slots=True)
class Parsing:
    """Bytes of one streamed answer to its pieces; `head` is the reply without its body."""

    head: Reply
    wire: Wire
    events: Events = field(default_factory=lambda: Events(_LARGEST))
    seen: list[Mapping[str, Any]] = field(default_factory=list)
    over: bool = False

    def pieces(self, block: bytes | None) -> Iterator[Piece]:
        """The pieces that `block` completes, None for the end; raises `MalformedStream` or `ProviderError`."""
        for data in self.events.end() if block is None else self.events.feed(block):
            if data.strip() == DONE:
                self.over = True
                return
            yield self._piece(as_json(data))

    def _piece(self, chunk: Mapping[str, Any]) -> Piece:
        self.seen.append(chunk)
        return self.wire.piece(self.seen, Chunk(self.head, chunk))


def opened(head: Reply, wire: Wire) -> Parsing:
    """The parsing of a reply that is a stream of events; `head.content` is its body where it is none.

    Raises `NotStreaming` where the provider answers in one piece or refuses to stream, and else `Refused`.
    """
    success = 200 <= head.status < 300
    kind = next((value for name, value in head.headers if name.lower() == "content-type"), "")
    if success and kind.lower().startswith("text/event-stream"):
        return Parsing(head, wire)
    shown = head.content[:_SHOWN].decode(errors="replace")
    whole = success and any(name in shown for name in _WHOLE)
    if whole or refuses_streams(head.status, shown):
        message = f"the provider does not stream: HTTP {head.status}: {shown}"
        raise NotStreaming(message)
    raise Refused(head)


def is_stream(headers: Sequence[tuple[str, str]]) -> bool:
    """Whether these are headers of a stream of events, whose body is read as it comes."""
    return any(k.lower() == "content-type" and v.lower().startswith("text/event-stream") for k, v in headers)


def finish(wire: Wire, pieces: Sequence[Piece]) -> Completion:
    """The completion of a whole streamed answer; raises `SamplerError` for a stream without chunks."""
    chunks = chunks_in(pieces)
    if not chunks:
        message = "the provider's stream has ended without a chunk"
        raise SamplerError(message)
    bodies = [chunk.body for chunk in chunks]
    return Completion(chunks[0].head, wire.whole(bodies), tuple(bodies))


def chunks_in(pieces: Sequence[Piece]) -> list[Chunk]:
    """The provider's own chunks, in order."""
    return [piece.raw for piece in pieces if isinstance(piece.raw, Chunk)]


def spent(reading: Reading, wire: Wire) -> dict[str, Any]:
    """What a streamed answer cost, as a body with `usage`: as the provider counts, or as it was read when it was closed."""
    cost = reading.usage()
    counts = wire.counted(cost.prompt_tokens, cost.completion_tokens)
    said = [usage for chunk in chunks_in(reading.pieces) if (usage := wire.usage(chunk.body))]
    last = said[-1] if said else None
    known = isinstance(last, Mapping) and all(last.get(name) == counts[name] for name in list(counts)[:2])
    return {"usage": last if known else counts}
