"""The local streamer for event loops: the model works on a thread of its own, and stops within a token when cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from adaptive_middleware.sampling.local import LocalSampler
from adaptive_middleware.sampling.local_stream import LocalStreamer
from adaptive_middleware.steps import Boundary
from adaptive_middleware.types import Path, Request

T = TypeVar("T")


class AsyncLocalStreamer:
    """The `AsyncSampler`, `AsyncStreamer` and `AsyncExtender` ports over a `LocalSampler`; see `LocalStreamer`.

    A cancelled `aadvance` waits for the token that is being drawn; what was drawn stays with the open paths, which can be
    advanced or dropped afterwards.
    """

    def __init__(self, sampler: LocalSampler, boundary: Boundary = "auto") -> None:
        self.id = sampler.id
        self.inner, self._sampler = LocalStreamer(sampler, boundary), sampler
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="adaptive-local")

    async def asample(self, request: Request, n: int) -> list[Path]:
        """`n` whole answers, as `LocalSampler.sample`."""
        return await self._called(lambda: self._sampler.sample(request, n))

    async def abegin(self, request: Request, n: int) -> list[Path]:
        """As `LocalStreamer.begin`."""
        return await self._called(lambda: self.inner.begin(request, n))

    async def aadvance(self, request: Request, paths: Sequence[Path]) -> list[Path]:
        """As `LocalStreamer.advance`."""
        stop = threading.Event()
        return await self._called(lambda: self.inner.advance_until(request, paths, stop), stop)

    async def afollow(self, request: Request, path: Path) -> AsyncIterator[Path]:
        """As `LocalStreamer.follow`."""
        growing = self.inner.follow(request, path)
        while (longer := await self._called(lambda: next(growing, None))) is not None:
            yield longer

    async def adrop(self, request: Request, paths: Sequence[Path]) -> list[Path]:
        """As `LocalStreamer.drop`."""
        return self.inner.drop(request, paths)

    async def aextend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:
        """As `LocalStreamer.extend`."""
        return await self._called(lambda: self.inner.extend(request, paths, fanout))

    async def _called(self, call: Callable[[], T], stop: threading.Event | None = None) -> T:
        """The result of `call` on the model's thread; cancelled, it is told to stop and waited for."""
        working = asyncio.get_running_loop().run_in_executor(self._thread, call)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            if stop is not None:
                stop.set()
            await asyncio.wait([working])
            raise
