"""A streamer over any streaming source for event loops: every answer is an asynchronous generator of pieces.

    async def source(request: Request) -> AsyncGenerator[Piece, None]:
        async with provider.stream(request.messages) as chunks:  # closed with the generator
            async for chunk in chunks:
                yield Piece(chunk.text, raw=chunk)

    streamer = AsyncStepStreamer(source, finish=lambda pieces: sum_of(piece.raw for piece in pieces))

As `streams.py`, which says what a source is; on every way out of a method, the caller's cancellation included, no
task is left, and what was interrupted is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

from adaptive_middleware.sampling.reading import (
    Finish,
    Open,
    Piece,
    Reading,
    Until,
    has_step,
    joined,
    longer_than,
)
from adaptive_middleware.sampling.settling import (
    Failure,
    StreamStalled,
    first_failure,
    late,
    opened,
    seconds_left,
    stalled,
)
from adaptive_middleware.step_splitter import StepSplitter
from adaptive_middleware.steps import Boundary
from adaptive_middleware.types import Path, Request

AsyncSource: TypeAlias = Callable[[Request], AsyncGenerator[Piece, None]]
"""Opens one answer: an asynchronous generator of its pieces that closes the connection when it is closed."""

_CLOSING = 5.0


@dataclass(slots=True, eq=False)
class _Stream(Open):
    """An open answer: its generator, always run in the context it was opened in."""

    pieces: AsyncGenerator[Piece, None]
    context: Context = field(default_factory=copy_context)
    failure: Failure | None = None

    async def read(self, until: Until, idle: float) -> None:
        """Take pieces `until` it says so or the answer has ended; an error is kept for later."""
        self.reading.sent = True
        try:
            while not self.reading.ended and not until(self.reading):
                piece = await self._next(idle)
                if piece is None:
                    self.reading.ended = True
                    return
                self.reading.take(piece)
        except asyncio.CancelledError:
            self.failure = Failure(late(), first=False)
            raise
        except Exception as error:  # noqa: BLE001 - the provider's error becomes data, or is raised by `aadvance`
            first = not self.reading.started and not isinstance(error, StreamStalled)
            self.failure = Failure(error, first=first)
            await self.close()

    async def _next(self, idle: float) -> Piece | None:
        limit = asyncio.timeout(idle)
        try:
            async with limit:
                return await anext(self.pieces, None)
        except TimeoutError as error:
            if limit.expired():
                raise stalled(idle) from error
            raise

    async def close(self) -> None:
        """Close the generator; one that cannot be closed in time is given up."""
        async with asyncio.timeout(_CLOSING):
            await self.pieces.aclose()

    def path(self) -> Path:
        """What the last reading led to, for `aadvance`."""
        reading = self.reading
        if self.failure is None and reading.steps_wait and not reading.ended:
            return replace(reading.step(), raw=self)
        return reading.whole(error=None if self.failure is None else str(self.failure))

    def task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """`work` as a task in this stream's context."""
        return asyncio.get_running_loop().create_task(work, context=self.context)


@dataclass(frozen=True, slots=True)
class AsyncStepStreamer:
    """Reads answers of an `AsyncSource` step by step; implements `ports.AsyncStreamer`.

    The fields are those of `StepStreamer`; `max_concurrency` bounds the answers of one call that are read at the
    same moment.
    """

    source: AsyncSource
    finish: Finish = joined
    boundary: Boundary = "auto"
    idle: float = 60.0
    max_concurrency: int = 16
    most: int = 16 * 2**20
    begun: Callable[[Reading], object] | None = None

    async def abegin(self, request: Request, n: int) -> list[Path]:
        """`n` open paths; each asks the provider when it is first read."""
        return [Path(done=False, raw=self._opened(request)) for _ in range(n)]

    async def aadvance(self, request: Request, paths: Sequence[Path]) -> list[Path]:
        """Each path one closed step further, or ended; all are read at once, up to the deadline."""
        streams = [opened(path, _Stream) for path in paths]
        gate = asyncio.Semaphore(self.max_concurrency)

        async def step(stream: _Stream) -> None:
            async with gate:
                await stream.read(has_step, self.idle)

        waiting = [one for one in streams if not one.reading.ended and not one.reading.steps_wait]
        await _by(request.deadline, [(one, one.task(step(one))) for one in waiting])
        first = first_failure([one.failure for one in streams])
        if first is not None:
            raise first
        return [one.path() for one in streams]

    async def afollow(self, request: Request, path: Path) -> AsyncIterator[Path]:
        """The path each time it has grown, at last `ended`; closed early, it leaves the stream closed."""
        stream = opened(path, _Stream)
        shown = len(path.text)
        try:
            while not stream.reading.ended and stream.failure is None:
                longer = stream.reading.grown()
                if len(longer.text) > shown:
                    shown = len(longer.text)
                    yield replace(longer, raw=stream)
                work = stream.read(partial(longer_than, stream.reading.size), self.idle)
                await _by(request.deadline, [(stream, stream.task(work))])
            yield stream.reading.whole(error=None if stream.failure is None else str(stream.failure))
        finally:
            await _finished([stream.task(stream.close())])

    async def adrop(self, request: Request, paths: Sequence[Path]) -> list[Path]:  # noqa: ARG002
        """The paths, their streams closed, with the cost of what was read."""
        streams = [path.raw for path in paths if isinstance(path.raw, _Stream)]
        await _finished([one.task(one.close()) for one in streams])
        return [_dropped(path) for path in paths]

    def _opened(self, request: Request) -> _Stream:
        reading = Reading(request, StepSplitter(self.boundary), self.finish, self.most)
        if self.begun is not None:
            self.begun(reading)
        return _Stream(reading, self.source(request))


async def _by(deadline: float | None, work: Sequence[tuple[_Stream, asyncio.Task[None]]]) -> None:
    """Wait for all tasks up to the deadline; then, or when this is cancelled, the others are cancelled and over."""
    tasks = [task for _, task in work]
    if not tasks:
        return
    try:
        await asyncio.wait(tasks, timeout=seconds_left(deadline))
    finally:
        late_ones = [(stream, task) for stream, task in work if not task.done()]
        for stream, task in late_ones:
            task.cancel()
            stream.failure = stream.failure or Failure(late(), first=False)
        await _finished(tasks)
        await _finished([stream.task(stream.close()) for stream, _ in late_ones])


async def _finished(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait until all tasks have ended, even when this is cancelled meanwhile; their errors are nobody's."""
    pending, cancelled = set(tasks), None
    while pending:
        try:
            _, pending = await asyncio.wait(pending)
        except asyncio.CancelledError as error:
            cancelled, pending = error, {task for task in pending if not task.done()}
    for task in tasks:
        if not task.cancelled():
            task.exception()
    if cancelled is not None:
        raise cancelled


def _dropped(path: Path) -> Path:
    if not isinstance(path.raw, _Stream):
        return path
    return replace(path, done=False, usage=path.raw.reading.usage(), raw=None)
