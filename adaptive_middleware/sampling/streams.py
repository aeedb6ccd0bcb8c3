"""A streamer over any streaming source: every answer is a generator of pieces, read by threads.

    def source(request: Request) -> Generator[Piece, None, None]:
        with provider.stream(request.messages) as chunks:       # closed with the generator
            for chunk in chunks:
                yield Piece(chunk.text, raw=chunk)

    streamer = StepStreamer(source, finish=lambda pieces: sum_of(piece.raw for piece in pieces))

A source is called once for each answer and asks nothing before its first piece. It raises the provider's own
errors; before the first piece it may raise `NotStreaming`. `astreams.py` has the same for coroutines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

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
from adaptive_middleware.sampling.settling import Failure, first_failure, late, opened, seconds_left, stalled
from adaptive_middleware.step_splitter import StepSplitter
from adaptive_middleware.steps import Boundary
from adaptive_middleware.types import Path, Request

Source: TypeAlias = Callable[[Request], Generator[Piece, None, None]]
"""Opens one answer: a generator of its pieces that closes the connection when it is closed."""


@dataclass(slots=True, eq=False)
class _Stream(Open):
    """An open answer: its generator, run in the context it was opened in, by one thread at a time."""

    pieces: Generator[Piece, None, None]
    context: Context = field(default_factory=copy_context)
    lock: threading.Lock = field(default_factory=threading.Lock)
    busy: bool = False
    left: bool = False
    moved: float | None = None
    failure: Failure | None = None

    def read(self, until: Until) -> None:
        """Take pieces `until` it says so or the answer has ended; in a thread of the pool."""
        with self.lock:
            if self.left:
                return
            self.busy, self.moved, self.reading.sent = True, time.monotonic(), True
        try:
            self.context.run(self._read, until)
        finally:
            with self.lock:
                self.busy = False
                left = self.left
            if left:
                self.context.run(self.pieces.close)

    def _read(self, until: Until) -> None:
        try:
            while not self.left and not until(self.reading):
                piece = next(self.pieces, None)
                if self.left:
                    return
                if piece is None:
                    self.reading.ended = True
                    return
                self.reading.take(piece)
                self.moved = time.monotonic()
        except Exception as error:  # noqa: BLE001 - the provider's error becomes data, or is raised by `advance`
            self.failure = Failure(error, first=not self.reading.started)
            self.pieces.close()

    def leave(self) -> None:
        """Close the stream: now, or as soon as the thread that is inside it comes back."""
        with self.lock:
            self.left = True
            if self.busy:
                return
        self.context.run(self.pieces.close)

    def path(self) -> Path:
        """What the last reading led to, for `advance`."""
        reading = self.reading
        if self.failure is None and reading.steps_wait and not reading.ended:
            return replace(reading.step(), raw=self)
        return reading.whole(error=None if self.failure is None else str(self.failure))


@dataclass(frozen=True, slots=True)
class StepStreamer:
    """Reads answers of a `Source` step by step; implements `ports.Streamer`.

    `finish` makes the `raw` of a whole answer from its pieces. `idle` is the longest silence in seconds, before the
    first piece too; a silent stream ends with an error. `max_concurrency` bounds the threads, `most` the characters
    kept of one answer; `begun` is told of every answer that is opened. An error before any piece of any answer is
    raised; a later one ends its answer alone.
    """

    source: Source
    finish: Finish = joined
    boundary: Boundary = "auto"
    idle: float = 60.0
    max_concurrency: int = 16
    most: int = 16 * 2**20
    begun: Callable[[Reading], object] | None = None

    def begin(self, request: Request, n: int) -> list[Path]:
        """`n` open paths; each asks the provider when it is first read."""
        return [Path(done=False, raw=self._opened(request)) for _ in range(n)]

    def advance(self, request: Request, paths: Sequence[Path]) -> list[Path]:
        """Each path one closed step further, or ended; all are read at once, up to the deadline."""
        streams = [opened(path, _Stream) for path in paths]
        self._run(request, streams, has_step)
        first = first_failure([one.failure for one in streams])
        if first is not None:
            raise first
        return [one.path() for one in streams]

    def follow(self, request: Request, path: Path) -> Iterator[Path]:
        """The path each time it has grown, at last `ended`; closed early, it leaves the stream closed."""
        stream = opened(path, _Stream)
        shown = len(path.text)
        try:
            while not stream.reading.ended and stream.failure is None:
                longer = stream.reading.grown()
                if len(longer.text) > shown:
                    shown = len(longer.text)
                    yield replace(longer, raw=stream)
                self._run(request, [stream], partial(longer_than, stream.reading.size))
            yield stream.reading.whole(error=None if stream.failure is None else str(stream.failure))
        finally:
            stream.leave()

    def drop(self, request: Request, paths: Sequence[Path]) -> list[Path]:  # noqa: ARG002 - the port's signature
        """The paths, their streams closed, with the cost of what was read."""
        return [_dropped(path) for path in paths]

    def _opened(self, request: Request) -> _Stream:
        reading = Reading(request, StepSplitter(self.boundary), self.finish, self.most)
        if self.begun is not None:
            self.begun(reading)
        return _Stream(reading, self.source(request))

    def _run(self, request: Request, streams: Sequence[_Stream], until: Until) -> None:
        todo = [one for one in streams if not one.reading.ended and not until(one.reading)]
        if not todo:
            return
        for stream in todo:
            stream.moved = None  # the time since its last turn was ours, not the provider's
        pool = ThreadPoolExecutor(min(len(todo), self.max_concurrency), thread_name_prefix="adaptive-stream")
        futures = {pool.submit(stream.read, until): stream for stream in todo}
        try:
            self._watch(futures, request.deadline)
        except BaseException:
            for stream in futures.values():
                stream.leave()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _watch(self, futures: dict[Future[None], _Stream], deadline: float | None) -> None:
        """Wait for all; whoever is silent too long, or still reading at the deadline, is left behind."""
        pending = set(futures)
        while pending:
            left = seconds_left(deadline)
            silent = [self._patience(futures[one]) for one in pending]
            pending = wait(pending, timeout=min([*silent, *([] if left is None else [left])])).not_done
            for one in list(pending):
                stream = futures[one]
                over = seconds_left(deadline) == 0
                if over or self._patience(stream) <= 0:
                    stream.failure = Failure(late() if over else stalled(self.idle), first=False)
                    stream.leave()
                    pending.discard(one)
        for one, stream in futures.items():
            if stream.failure is None:
                one.result()

    def _patience(self, stream: _Stream) -> float:
        return self.idle if stream.moved is None else max(stream.moved + self.idle - time.monotonic(), 0.0)


def _dropped(path: Path) -> Path:
    if not isinstance(path.raw, _Stream):
        return path
    path.raw.leave()
    return replace(path, done=False, usage=path.raw.reading.usage(), raw=None)
