"""The samplers of one call: whole replies to the client's own request, sent again for each sample."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Generic, TypeVar

from adaptive_middleware.sampling.fanout import afan_out, fan_out
from adaptive_middleware.sampling.reading import Reading
from adaptive_middleware.transport.call import Call, Form
from adaptive_middleware.transport.replies import Completion, Reply, answer
from adaptive_middleware.transport.streamed import spent
from adaptive_middleware.transport.wire import CHAT, Wire
from adaptive_middleware.types import Path, Request

Sent = TypeVar("Sent", Reply, Awaitable[Reply])


@dataclass(frozen=True, slots=True)
class Drawn:
    """All that a call has drawn: completions in one piece, and readings of streams; `numbers` counts what was sent."""

    wire: Wire = CHAT
    completions: list[Completion] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def spent(self) -> list[Mapping[str, Any]]:
        """Bodies with the `usage` of each."""
        streams = [spent(reading, self.wire) for reading in self.readings if reading.started]
        return [*(one.body for one in self.completions), *streams]


@dataclass(slots=True)
class _Drawing(Generic[Sent]):
    """A call, how its samples are sent, and where they are kept; retries are the client's."""

    call: Call
    send: Callable[[Form], Sent]
    drawn: Drawn
    max_concurrency: int = 16

    def _sent(self, request: Request) -> Sent:
        return self.send(self.call.form(request, next(self.drawn.numbers)))

    def _kept(self, reply: Reply) -> Path:
        completion, path = answer(reply, self.call.wire)
        self.drawn.completions.append(completion)
        return path


class ReplySampler(_Drawing[Reply]):
    """Draws answers from threads, one request each."""

    def sample(self, request: Request, n: int) -> list[Path]:
        """`n` answers; a refusal is raised where all are refused."""
        draw = partial(self._drawn, request)
        return fan_out(draw, n, deadline=request.deadline, max_concurrency=self.max_concurrency)

    def _drawn(self, request: Request) -> Path:
        return self._kept(self._sent(request))


class AsyncReplySampler(_Drawing[Awaitable[Reply]]):
    """Draws answers on the event loop, one request each."""

    async def asample(self, request: Request, n: int) -> list[Path]:
        """As `ReplySampler.sample`."""
        draw = partial(self._drawn, request)
        return await afan_out(draw, n, deadline=request.deadline, max_concurrency=self.max_concurrency)

    async def _drawn(self, request: Request) -> Path:
        return self._kept(await self._sent(request))
