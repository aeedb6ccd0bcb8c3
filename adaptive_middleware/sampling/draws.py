"""Samplers around a callable that gives one answer: all that an adapter of your own needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from adaptive_middleware.sampling.fanout import afan_out, fan_out
from adaptive_middleware.types import Path, Request


@dataclass(frozen=True, slots=True)
class Draws:
    """Implements `ports.Sampler`: each sample is one call of `draw`, from at most `max_concurrency` threads.

    A call that raises is a failed sample; when all raise, the first error is the caller's to see.

    >>> sampler = Draws(lambda request: Path((request.text.upper(),)))
    >>> [path.text for path in sampler.sample(Request("a"), 2)]
    ['A', 'A']
    """

    draw: Callable[[Request], Path]
    max_concurrency: int = 16

    def sample(self, request: Request, n: int) -> Sequence[Path]:
        """`n` answers to `request`."""
        return fan_out(
            lambda: self.draw(request), n, deadline=request.deadline, max_concurrency=self.max_concurrency
        )


@dataclass(frozen=True, slots=True)
class AsyncDraws:
    """Implements `ports.AsyncSampler`: each sample is one awaited `draw`, at most `max_concurrency` at the same moment."""

    draw: Callable[[Request], Awaitable[Path]]
    max_concurrency: int = 16

    async def asample(self, request: Request, n: int) -> Sequence[Path]:
        """`n` answers to `request`."""
        return await afan_out(
            lambda: self.draw(request), n, deadline=request.deadline, max_concurrency=self.max_concurrency
        )
