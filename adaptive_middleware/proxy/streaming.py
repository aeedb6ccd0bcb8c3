"""The streams of one proxied call: every sample is the client's own request for a stream, sent again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx2

from adaptive_middleware.proxy.drawing import Drawing
from adaptive_middleware.proxy.events import events_in, pieces_of
from adaptive_middleware.proxy.upstream import Unusable
from adaptive_middleware.sampling.astreams import AsyncStepStreamer
from adaptive_middleware.sampling.fanout import afan_out
from adaptive_middleware.sampling.reading import Piece, Reading
from adaptive_middleware.step_splitter import StepSplitter
from adaptive_middleware.types import Path, Request

_MOST = 16 << 20


@dataclass(slots=True)
class Streams:
    """Draws answers from streams: whole as a sampler, or step by step as `streamer` does.

    `readings` are all answers that were begun.
    """

    drawing: Drawing
    readings: list[Reading] = field(default_factory=list)

    @property
    def streamer(self) -> AsyncStepStreamer:
        """Reads the same answers step by step."""
        idle, boundary = self.drawing.upstream.timeout, self.drawing.boundary
        return AsyncStepStreamer(
            self.pieces, events_in, boundary, idle, most=_MOST, begun=self.readings.append
        )

    async def asample(self, request: Request, n: int) -> Sequence[Path]:
        """`n` whole answers, asked for at once; raises `Unusable` when the upstream answers none of them."""

        async def draw() -> Path:
            reading = Reading(request, StepSplitter(self.drawing.boundary), events_in, _MOST, sent=True)
            self.readings.append(reading)
            async with aclosing(self.pieces(request)) as pieces:
                async for piece in pieces:
                    reading.take(piece)
            return reading.whole()

        return await afan_out(draw, n, deadline=request.deadline)

    async def pieces(self, request: Request) -> AsyncGenerator[Piece, None]:
        """The pieces of one answer; raises `Unusable` with what the upstream said instead of a stream."""
        upstream, asked = self.drawing.upstream, self.drawing.asked
        reply = await upstream.opened(asked, self.drawing.next_body(request), plain=True)
        try:
            async with aclosing(reply):
                if not _is_stream(reply):
                    raise Unusable(await upstream.read(reply))
                async with aclosing(pieces_of(reply, self.drawing.wire)) as pieces:
                    async for piece in pieces:
                        yield piece
        except httpx2.TransportError as error:
            raise upstream.broken(error) from error

    @property
    def usages(self) -> list[Mapping[str, Any]]:
        """What the answers cost: as the upstream counted, or, where it did not, as they were counted here."""
        return [_said(reading) or self._counted(reading) for reading in self.readings if reading.started]

    def _counted(self, reading: Reading) -> Mapping[str, Any]:
        cost = reading.usage()
        return self.drawing.wire.counted(cost.prompt_tokens, cost.completion_tokens)


def _is_stream(reply: httpx2.Response) -> bool:
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    plain = reply.headers.get("content-encoding", "identity").lower() == "identity"
    return reply.is_success and kind == "text/event-stream" and plain


def _said(reading: Reading) -> Mapping[str, Any] | None:
    said = [event.wire.usage(event.values) for event in events_in(reading.pieces) if event.counts]
    return said[-1] if said and isinstance(said[-1], Mapping) else None
