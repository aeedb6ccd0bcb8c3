"""Draw n samples of one request at once: failures become data, and a deadline ends the waiting.

Both functions return one path per requested sample, in order. A draw that raised is a path whose `error`
says so; when every draw raised, the first exception is raised unchanged, because it is the caller's to
see. A draw still running at the deadline is a path with `error`, too, and `DeadlineExceeded` is raised
when none had finished by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context

from adaptive_middleware.deadline import MARGIN, Deadline
from adaptive_middleware.errors import DeadlineExceeded
from adaptive_middleware.types import Path, Usage


def fan_out(
    draw: Callable[[], Path], n: int, *, deadline: float | None = None, max_concurrency: int = 16
) -> list[Path]:
    """Call `draw` `n` >= 1 times from up to `max_concurrency` threads, each in a copy of this context.

    A single draw without a deadline is made in the calling thread. `deadline` is a `time.monotonic()` instant in seconds: it
    ends the waiting, but a thread that is inside `draw` then cannot be stopped; its
    result is dropped. `max_concurrency=1` makes one call after the other.

    >>> [path.text for path in fan_out(lambda: Path(("4",)), 2)]
    ['4', '4']
    """
    if n == 1 and deadline is None:
        return [draw()]
    if Deadline(deadline).seconds(MARGIN) == 0:
        return _settled([None] * n)
    pool = ThreadPoolExecutor(min(n, max_concurrency), thread_name_prefix="adaptive-sample")
    futures = [pool.submit(copy_context().run, draw) for _ in range(n)]
    done: set[Future[Path]] = set()
    try:
        done = wait(futures, timeout=Deadline(deadline).seconds(MARGIN)).done
    finally:
        pool.shutdown(wait=len(done) == n, cancel_futures=True)
    return _settled([_result(future) if future in done else None for future in futures])


async def afan_out(
    draw: Callable[[], Awaitable[Path]],
    n: int,
    *,
    deadline: float | None = None,
    max_concurrency: int = 16,
) -> list[Path]:
    """Await `draw` `n` >= 1 times, at most `max_concurrency` of them at the same moment.

    `deadline` is a `time.monotonic()` instant in seconds: draws still running then are cancelled. On
    every way out, an error or the caller's cancellation included, all draws have ended.
    """
    if n == 1 and deadline is None:
        return [await draw()]
    if Deadline(deadline).seconds(MARGIN) == 0:
        return _settled([None] * n)
    gate = asyncio.Semaphore(max_concurrency)

    async def drawn() -> Path:
        async with gate:
            return await draw()

    tasks = [asyncio.create_task(drawn()) for _ in range(n)]
    done: set[asyncio.Task[Path]] = set()
    try:
        done, _ = await asyncio.wait(tasks, timeout=Deadline(deadline).seconds(MARGIN))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return _settled([_result(task) if task in done else None for task in tasks])


def _result(finished: Future[Path] | asyncio.Task[Path]) -> Path | BaseException:
    if finished.cancelled():
        return asyncio.CancelledError("the sample cancelled itself")
    return finished.exception() or finished.result()


def _settled(results: Sequence[Path | BaseException | None]) -> list[Path]:
    errors = [result for result in results if isinstance(result, BaseException)]
    if len(errors) == len(results):
        raise errors[0]
    if not any(isinstance(result, Path) for result in results):
        message = f"none of {len(results)} samples had finished at the call's deadline"
        raise DeadlineExceeded(message) from (errors[0] if errors else None)
    return [_as_path(result) for result in results]


def _as_path(result: Path | BaseException | None) -> Path:
    if isinstance(result, Path):
        return result
    if result is None:
        error = "DeadlineExceeded: the sample had not finished at the call's deadline"
    else:
        error = f"{type(result).__name__}: {result}"
    return Path(error=error, usage=Usage(requests=1))
