"""The loop in the background: cancelled with its future, ended with its owner."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from adaptive_middleware.scoring.background import Background


async def thread() -> threading.Thread:
    return threading.current_thread()


async def failing() -> None:
    raise ValueError("mine")


def test_all_work_runs_on_one_thread_that_ends_with_its_owner() -> None:
    background = Background()
    threads = {background.submit(thread()).result() for _ in range(3)}
    (one,) = threads
    assert one is not threading.current_thread()
    del background
    gc.collect()
    one.join()
    assert not one.is_alive()


def test_errors_reach_whoever_waits() -> None:
    with pytest.raises(ValueError, match="mine"):
        Background().submit(failing()).result()


def test_to_cancel_the_future_is_to_cancel_the_work() -> None:
    began, ended = threading.Event(), threading.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    background = Background()
    future = background.submit(work())
    began.wait()
    future.cancel()
    ended.wait()
    assert future.cancelled()
    assert background.submit(thread()).result().is_alive()
