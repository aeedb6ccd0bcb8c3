"""Events of a streamed chat completion: read for what must be known, and kept as they were written."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from adaptive_middleware.proxy.body import Body
from adaptive_middleware.proxy.headers import Headers, to_client
from adaptive_middleware.sampling.chunks import Chunks
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.sampling.sse import DONE as OVER
from adaptive_middleware.sampling.sse import Events, as_json
from adaptive_middleware.server.requests import Refused
from adaptive_middleware.transport.text import arguments_of
from adaptive_middleware.types import ToolCall

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its data as written, their values, and the headers that its stream came with."""

    data: str
    values: Mapping[str, Any]
    headers: Headers

    @property
    def ends(self) -> bool:
        """Whether the answer says here how it ended."""
        choices = self.values.get("choices") or ()
        return any(choice.get("finish_reason") is not None for choice in choices)

    @property
    def counts(self) -> bool:
        """Whether the event says what the answer cost."""
        return isinstance(self.values.get("usage"), Mapping)

    def written(self, changes: Mapping[str, object]) -> bytes:
        r"""The event as bytes, with top-level values changed or added.

        >>> Event('{"choices": []}', {"choices": []}, ()).written({"adaptive": None})
        b'data: {"choices": [], "adaptive": null}\n\n'
        """
        return framed(Body(self.data.encode(), self.values).changed(changes).decode())


def error_event(status: int, message: str) -> bytes:
    """An error in the middle of a stream, as OpenAI clients know it, and the end of the stream."""
    return framed(json.dumps(Refused(status, message).body)) + DONE


def framed(data: str) -> bytes:
    """Data as an event of a stream."""
    return "".join(f"data: {line}\n" for line in data.split("\n")).encode() + b"\n"


@dataclass(slots=True)
class AllChunks(Chunks):
    """As `Chunks`, but calls with unreadable arguments are calls: the client may be able to mend them."""

    def _whole_calls(self) -> tuple[ToolCall, ...]:
        made = [self.calls[index] for index in sorted(self.calls)]
        self.calls = {}
        return tuple(
            ToolCall(one["name"], arguments_of(one["arguments"] or "{}"), one["id"] or None) for one in made
        )


async def pieces_of(reply: httpx2.Response) -> AsyncGenerator[Piece, None]:
    """The pieces of a stream, each with its `Event` as `raw`; raises `MalformedStream`, `ProviderError`, and as httpx2."""
    events, chunks, headers = Events(), AllChunks(), to_client(reply.headers.raw, rewritten=True)
    async for received in reply.aiter_raw():
        for data in events.feed(received):
            if data.strip() == OVER:
                return
            yield _piece(chunks, data, headers)
    for data in events.end():
        if data.strip() != OVER:
            yield _piece(chunks, data, headers)


def _piece(chunks: AllChunks, data: str, headers: Headers) -> Piece:
    values = as_json(data)
    return replace(chunks.piece(values), raw=Event(data, values, headers))


def events_in(pieces: Sequence[Piece]) -> tuple[Event, ...]:
    """The events of an answer: what one that was streamed to its end carries as `raw`."""
    return tuple(piece.raw for piece in pieces if isinstance(piece.raw, Event))


FAREWELL = b"\n" + error_event(503, "the proxy is stopping: ask again")
"""What the client of an open stream is told when the time to finish it is over."""
