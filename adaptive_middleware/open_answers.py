"""Open answers belong to their call: whatever a strategy leaves open is closed when the call ends, however it ends.

A streamer is wrapped for one call; the wrapper remembers what was opened and not read to its end, and drops that in
the end. So neither a strategy that dies, nor a cancelled task, nor a watcher that goes away leaves a stream open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from adaptive_middleware.ports import AsyncStreamer, Streamer
from adaptive_middleware.types import Path, Request

Closed: TypeAlias = Callable[[Sequence[Path]], None]
"""Is told of answers that were closed, with what they cost in the end."""


@contextmanager
def owned(
    streamer: Streamer | None, request: Request, closed: Closed | None = None
) -> Iterator[Streamer | None]:
    """The streamer for the length of one call; at the end, what is still open is dropped, and `closed` is told of it."""
    if streamer is None:
        yield None
        return
    mine = _Owned(streamer)
    try:
        yield mine
    finally:
        if mine.paths:
            left = streamer.drop(request, mine.paths)
            if closed is not None:
                closed(left)


@asynccontextmanager
async def aowned(
    streamer: AsyncStreamer | None, request: Request, closed: Closed | None = None
) -> AsyncIterator[AsyncStreamer | None]:
    """As `owned`, for event loops."""
    if streamer is None:
        yield None
        return
    mine = _AsyncOwned(streamer)
    try:
        yield mine
    finally:
        if mine.paths:
            left = await streamer.adrop(request, mine.paths)
            if closed is not None:
                closed(left)


class _Open(list[Path]):
    """The paths of a call that are open, told apart by what the streamer keeps in `raw`."""

    def became(self, before: Sequence[Path], after: Sequence[Path]) -> None:
        """Paths were read on or closed: those that have not ended stay."""
        for path in before:
            place = next((i for i, one in enumerate(self) if one.raw is path.raw), None)
            if place is not None:
                del self[place]
        self.extend(path for path in after if not path.ended)


@dataclass(slots=True)
class _Owned:
    streamer: Streamer
    paths: _Open = field(default_factory=_Open)

    def begin(self, request: Request, n: int) -> Sequence[Path]:
        opened = self.streamer.begin(request, n)
        self.paths.became((), opened)
        return opened

    def advance(self, request: Request, paths: Sequence[Path]) -> Sequence[Path]:
        longer = self.streamer.advance(request, paths)
        self.paths.became(paths, longer)
        return longer

    def follow(self, request: Request, path: Path) -> Iterator[Path]:
        growing = self.streamer.follow(request, path)
        with closing(cast("Any", growing)):
            for longer in growing:
                self.paths.became((path,), (longer,))
                path = longer
                yield longer

    def drop(self, request: Request, paths: Sequence[Path]) -> Sequence[Path]:
        closed = self.streamer.drop(request, paths)
        self.paths.became(paths, ())
        return closed


@dataclass(slots=True)
class _AsyncOwned:
    streamer: AsyncStreamer
    paths: _Open = field(default_factory=_Open)

    async def abegin(self, request: Request, n: int) -> Sequence[Path]:
        opened = await self.streamer.abegin(request, n)
        self.paths.became((), opened)
        return opened

    async def aadvance(self, request: Request, paths: Sequence[Path]) -> Sequence[Path]:
        longer = await self.streamer.aadvance(request, paths)
        self.paths.became(paths, longer)
        return longer

    async def afollow(self, request: Request, path: Path) -> AsyncIterator[Path]:
        growing = self.streamer.afollow(request, path)
        async with aclosing(cast("Any", growing)):
            async for longer in growing:
                self.paths.became((path,), (longer,))
                path = longer
                yield longer

    async def adrop(self, request: Request, paths: Sequence[Path]) -> Sequence[Path]:
        closed = await self.streamer.adrop(request, paths)
        self.paths.became(paths, ())
        return closed
