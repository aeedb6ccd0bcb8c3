"""The bodies of responses that are written while they are read: events, and the end of them when something fails."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import aclosing, closing

from adaptive_middleware.errors import AdaptiveError


class Live:
    """A body of `events`, of which the `first` was made already; an error of ours becomes its last events.

    Whoever closes it ends the call: what is open at the provider is closed.
    """

    def __init__(
        self,
        first: bytes,
        events: Generator[bytes, None, None],
        broken: Callable[[AdaptiveError], Iterable[bytes]],
    ) -> None:
        self._first, self._events, self._broken = first, events, broken

    def __iter__(self) -> Iterator[bytes]:
        with closing(self._events):
            yield self._first
            try:
                yield from self._events
            except AdaptiveError as error:
                yield from self._broken(error)

    def close(self) -> None:
        """End the call."""
        self._events.close()


class AsyncLive:
    """As `Live`, on the event loop."""

    def __init__(
        self,
        first: bytes,
        events: AsyncGenerator[bytes, None],
        broken: Callable[[AdaptiveError], Iterable[bytes]],
    ) -> None:
        self._first, self._events, self._broken = first, events, broken

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(self._events):
            yield self._first
            try:
                async for event in self._events:
                    yield event
            except AdaptiveError as error:
                for event in self._broken(error):
                    yield event

    async def aclose(self) -> None:
        """End the call."""
        await self._events.aclose()
