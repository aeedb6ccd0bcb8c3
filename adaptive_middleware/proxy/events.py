"""Events of a streamed answer: read for what must be known, and kept as they were written."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from adaptive_middleware.proxy.body import Body
from adaptive_middleware.proxy.headers import Headers, to_client
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.sampling.sse import DONE as OVER
from adaptive_middleware.sampling.sse import Events, as_json
from adaptive_middleware.server.requests import Refused
from adaptive_middleware.transport.wire import CHAT, RESPONSES, Wire

_LARGEST = 16 << 20


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its data as written, their values, and the headers that its stream came with."""

    data: str
    values: Mapping[str, Any]
    headers: Headers
    wire: Wire = CHAT

    @property
    def ends(self) -> bool:
        """Whether the answer says here how it ended."""
        return self.wire.ends(self.values)

    @property
    def counts(self) -> bool:
        """Whether the event says what the answer cost."""
        return isinstance(self.wire.usage(self.values), Mapping)

    def written(self, told: Mapping[str, object]) -> bytes:
        r"""The event as bytes, with values changed or added: at the top, or in the response that it holds.

        >>> Event('{"choices": []}', {"choices": []}, ()).written({"adaptive": None})
        b'data: {"choices": [], "adaptive": null}\n\n'
        """
        body = Body(self.data.encode(), self.values)
        changed = body.within("response", told) if self.wire is RESPONSES and told else body.changed(told)
        return self.wire.framed(self.values, changed.decode())


def error_event(wire: Wire, status: int, message: str, sent: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """An error in the middle of a stream, after the events that were sent, and the end of the stream."""
    described = Refused(status, message).body["error"]
    return wire.broken(described if isinstance(described, Mapping) else {}, sent)


def farewell(wire: Wire, sent: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """What the client of an open stream is told when the time to finish it is over."""
    return b"\n" + error_event(wire, 503, "the proxy is stopping: ask again", sent)


async def pieces_of(reply: httpx2.Response, wire: Wire) -> AsyncGenerator[Piece, None]:
    """The pieces of a stream, each with its `Event` as `raw`; raises `MalformedStream`, `ProviderError`, and as httpx2."""
    events, seen = Events(_LARGEST), list[Mapping[str, Any]]()
    headers = to_client(reply.headers.raw, rewritten=True)

    def piece(data: str) -> Piece:
        seen.append(as_json(data))
        return wire.piece(seen, Event(data, seen[-1], headers, wire))

    async for received in reply.aiter_raw():
        for data in events.feed(received):
            if data.strip() == OVER:
                return
            yield piece(data)
    for data in events.end():
        if data.strip() != OVER:
            yield piece(data)


def events_in(pieces: Sequence[Piece]) -> tuple[Event, ...]:
    """The events of an answer: what one that was streamed to its end carries as `raw`."""
    return tuple(piece.raw for piece in pieces if isinstance(piece.raw, Event))
