"""What is sent for a streamed answer, and what the endpoint's replies mean; nothing is sent or read here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from adaptive_middleware.deadline import Deadline
from adaptive_middleware.errors import NotStreaming, SamplerError
from adaptive_middleware.sampling.chunks import Chunks, ProviderError
from adaptive_middleware.sampling.endpoint import Busy, Endpoint, busy, messages_of, parameters_of, seconds
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.sampling.refusing import refuses_streams
from adaptive_middleware.sampling.settling import stalled
from adaptive_middleware.sampling.sse import DONE, Events, MalformedStream, as_json
from adaptive_middleware.types import Request

_SHOWN = 300


class BrokenStream(SamplerError):
    """The connection broke off in the middle of a streamed answer."""

    code = "AMW-E311"
    remedy = "Nothing, if it is rare; else look at the endpoint and what stands before it."


@dataclass(frozen=True, slots=True)
class Patience:
    """Longest waits in seconds: to connect, for the head of a reply, and for each of its bytes after that."""

    connect: float = 10.0
    first: float = 120.0
    idle: float = 60.0


def asked(place: Endpoint, patience: Patience, extra: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """What a request is built from; no wait is longer than the call's deadline leaves."""
    left = max(Deadline(request.deadline).left(), 0.001)
    waits = httpx2.Timeout(min(patience.first, left), connect=min(patience.connect, left))
    counted = {"stream": True, "stream_options": {"include_usage": True}}
    body = {**place.settings, **parameters_of(request), "messages": messages_of(request), **counted, **extra}
    headers = {**place.headers, "accept": "text/event-stream", "accept-encoding": "identity"}
    return {"json": body, "headers": headers, "timeout": waits}


def streams(reply: httpx2.Response, patience: Patience) -> bool:
    """Whether the reply is a stream of events; from here on its bytes are waited for as `patience.idle` says."""
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    plain = reply.headers.get("content-encoding", "identity").lower() == "identity"
    reply.request.extensions["timeout"]["read"] = patience.idle
    return reply.is_success and kind == "text/event-stream" and plain


def refusal(place: Endpoint, reply: httpx2.Response, body: bytes) -> Exception:
    """What to raise for a reply that is not a stream of events and begins with `body`."""
    encoding = reply.headers.get("content-encoding", "identity").lower()
    shown = body.decode(errors="replace")[:_SHOWN] if encoding == "identity" else f"a body in {encoding}"
    said = f"HTTP {reply.status_code}: {shown}"
    if busy(reply.status_code):
        return Busy(said, seconds(reply.headers.get("retry-after")))
    if reply.is_success:
        return _in_one_piece(place, reply, shown)
    if refuses_streams(reply.status_code, shown):
        message = f"{place.url} does not stream {place.model!r}: {said}"
        return NotStreaming(message)
    message = f"{place.url} refused a request for {place.model!r}: {said}"
    return SamplerError(message)


def _in_one_piece(place: Endpoint, reply: httpx2.Response, shown: str) -> Exception:
    kind = reply.headers.get("content-type", "no content type")
    if '"error"' in shown:
        message = f"{place.url} reported an error: {shown}"
        return ProviderError(message)
    if kind.startswith("application/json") and '"choices"' in shown:
        message = f"{place.url} answers in one piece, although a stream was asked for"
        return NotStreaming(message)
    message = f"{place.url} did not answer with a stream of events ({kind}): {shown}"
    return MalformedStream(message)


@dataclass(slots=True)
class Parsing:
    """Bytes of one answer to its pieces."""

    url: str
    events: Events = field(default_factory=Events)
    chunks: Chunks = field(default_factory=Chunks)
    finished: bool = False
    over: bool = False

    def pieces(self, chunk: bytes) -> Iterator[Piece]:
        """The pieces that `chunk` completes; raises `MalformedStream` or `ProviderError`."""
        return self._pieces(self.events.feed(chunk))

    def end(self) -> Iterator[Piece]:
        """The pieces that only the end of the bytes completes."""
        return self._pieces(self.events.end())

    def broke(self, error: httpx2.TransportError, idle: float) -> None:
        """Raise what a broken connection means; after the answer's end it means nothing."""
        if isinstance(error, httpx2.ReadTimeout):
            raise stalled(idle) from error
        if not self.finished:
            message = f"{self.url}: the answer broke off: {type(error).__name__}: {error}"
            raise BrokenStream(message) from error

    def _pieces(self, events: Iterator[str]) -> Iterator[Piece]:
        for data in events:
            if data.strip() == DONE:
                self.over = True
                return
            piece = self.chunks.piece(as_json(data))
            self.finished = self.finished or piece.finish_reason is not None
            yield piece
