"""Other threads, waited for without blocking an event loop: a bell that they ring, and work that they do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class Bell:
    """Rung from any thread; whoever waits goes on at once. A ring before the wait is not lost."""

    __slots__ = ("_loop", "_rung", "_waiting")

    def __init__(self) -> None:
        self._rung = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake the one who waits, or the next one who will."""
        self._rung.set()
        loop, waiting = self._loop, self._waiting
        if loop is not None and waiting is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(_wake, waiting)

    def wait(self, seconds: float) -> None:
        """Block until it rings, at most `seconds`."""
        self._rung.wait(max(seconds, 0.0))
        self._rung.clear()

    async def wait_async(self, seconds: float) -> None:
        """As `wait`, without blocking the event loop."""
        import asyncio  # noqa: PLC0415 - programs without an event loop start faster

        self._loop = asyncio.get_running_loop()
        waiting = self._waiting = self._loop.create_future()
        if self._rung.is_set():
            _wake(waiting)
        try:
            await asyncio.wait((waiting,), timeout=max(seconds, 0.0))
        finally:
            self._loop = self._waiting = None
            waiting.cancel()
        self._rung.clear()


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` returns, done by another thread; a cancelled caller still waits until it is done."""
    import asyncio  # noqa: PLC0415 - programs without an event loop start faster

    doing = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait((doing,))
        if not doing.cancelled():
            doing.exception()
        raise


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
