from __future__ import annotations

import asyncio
from threading import Thread

from adaptive_middleware.bell import Bell


def test_a_ring_before_the_wait_is_not_lost_and_counts_once() -> None:
    bell = Bell()
    bell.ring()
    bell.wait(60.0)
    bell.wait(0.0)
    bell.wait(-1.0)


async def test_a_ring_from_a_thread_wakes_the_event_loop() -> None:
    bell = Bell()
    waiting = asyncio.create_task(bell.wait_async(60.0))
    await asyncio.sleep(0)
    thread = Thread(target=bell.ring)
    thread.start()
    await asyncio.wait_for(waiting, 30.0)
    thread.join()


async def test_on_an_event_loop_too_a_ring_before_the_wait_counts() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    await asyncio.wait_for(bell.wait_async(60.0), 30.0)
    await bell.wait_async(0.0)


async def test_a_wait_that_is_cancelled_leaves_a_bell_that_can_be_rung() -> None:
    bell = Bell()
    waiting = asyncio.create_task(bell.wait_async(60.0))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    bell.ring()
    await asyncio.wait_for(bell.wait_async(60.0), 30.0)


def test_a_ring_after_the_loop_was_closed_harms_nobody() -> None:
    bell = Bell()
    loop = asyncio.new_event_loop()
    task = loop.create_task(bell.wait_async(60.0))
    loop.run_until_complete(asyncio.sleep(0))
    loop.call_soon(task.cancel)
    waiting = bell._waiting, bell._loop
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    bell._waiting, bell._loop = waiting
    bell.ring()
    bell.wait(60.0)
