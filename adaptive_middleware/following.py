"""Following an open answer: it is shown as it grows, and a failure on the way ends it where it is.

What was shown cannot be taken back or be paid twice, so a failure after that is no exception any more: the flow
receives the path as far as it came, with `error` set.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import replace
from typing import cast

from adaptive_middleware.deadline import Deadline
from adaptive_middleware.effects import Follow
from adaptive_middleware.errors import DeadlineExceeded
from adaptive_middleware.ports import AsyncStreamer, Streamer
from adaptive_middleware.types import Path, Request


def followed(effect: Follow, streamer: Streamer) -> Generator[Path, None, Path]:
    """What was read already, then the path each time it has grown, last of all as it ended; returns that one.

    An error while there is nothing to show is raised.
    """
    path = effect.path
    if path.text:
        yield path
    with closing(cast("Generator[Path]", streamer.follow(effect.request, path))) as growing:
        while True:
            try:
                longer = next(growing, None)
            except Exception as error:  # noqa: BLE001 - not swallowed: said in the path, or raised
                longer = _ended(path, error)
            if longer is None:
                return path
            path = longer
            yield path
            if path.error is not None:
                return path


async def afollowed(effect: Follow, streamer: AsyncStreamer) -> AsyncGenerator[Path, None]:
    """As `followed`, for event loops; the deadline bounds each wait for more."""
    path = effect.path
    if path.text:
        yield path
    async with aclosing(cast("AsyncGenerator[Path]", streamer.afollow(effect.request, path))) as growing:
        while True:
            try:
                async with in_time(effect.request, "Follow"):
                    longer = await anext(growing, None)
            except Exception as error:  # noqa: BLE001 - not swallowed: said in the path, or raised
                longer = _ended(path, error)
            if longer is None:
                return
            path = longer
            yield path
            if path.error is not None:
                return


@asynccontextmanager
async def in_time(request: Request, what: str) -> AsyncIterator[None]:
    """Cancel what is awaited inside at the request's deadline, and raise `DeadlineExceeded` then."""
    ends = Deadline(request.deadline)
    if ends.at is None:
        yield
        return
    import asyncio  # noqa: PLC0415 - costs a third of the package's import time

    try:
        async with asyncio.timeout(ends.left()):
            yield
    except TimeoutError as error:
        if ends.left() > 0:
            raise
        message = f"{what} was cancelled at the call's deadline"
        raise DeadlineExceeded(message) from error


def _ended(path: Path, error: Exception) -> Path:
    if not path.text:
        raise error
    return replace(path, error=f"{type(error).__name__}: {error}")
