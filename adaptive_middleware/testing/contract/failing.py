"""Promises for when things go wrong: the framework's own errors, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from adaptive_middleware.testing.contract.client import (
    PASSING,
    THREE,
    Adapter,
    Answer,
    Client,
    asking,
    called,
    came_of,
    expect,
    pieces_of,
)
from adaptive_middleware.testing.fake_openai import Server

_LOOKS, _PAUSE = 400, 0.005
"""How often, and every how many seconds, a promise looks whether the provider has been told."""
_SUM = "3 + 4 = 7\nThe answer is 7."


def a_refused_call_raises_the_frameworks_own_error(adapter: Adapter, server: Server) -> None:
    """All three samples fail: class and text of the error are those that the framework has for one."""
    refused = [asking("fail"), asking("limit")]
    alone = came_of(adapter, server, None, *refused)
    expect("errors", [isinstance(one, tuple) for one in alone], [True, True])
    expect("the errors", came_of(adapter, server, THREE, *refused), alone)


def a_refused_stream_raises_the_frameworks_own_error(adapter: Adapter, server: Server) -> None:
    """Passed on or sampled, blocking or awaited: class and text of the error are those of the framework alone."""
    alone = pieces_of(adapter, server, None, asking("fail"))
    expect("errors", [isinstance(one, tuple) for one in alone], [True, True])
    for config in (PASSING, THREE):
        expect("the errors of two streams", pieces_of(adapter, server, config, asking("fail")), alone)


def one_failed_sample_of_three_fails_nothing(adapter: Adapter, server: Server) -> None:
    """The other two decide."""
    (answer,) = called(adapter, server, THREE, asking("arithmetic+fail=3"))
    expect("the requests made", len(server.calls), 3)
    expect("the text of the answer", answer.text, _SUM)


def a_blocking_call_works_inside_a_running_loop(adapter: Adapter, server: Server) -> None:
    """As notebooks and asynchronous servers make them."""

    async def inside(client: Client) -> Answer:
        return client.call(asking())

    for config in (PASSING, THREE):
        with adapter(server.url, config) as client:
            expect("the text of the answer", asyncio.run(inside(client)).text, _SUM)


def one_client_serves_event_loops_in_turn(adapter: Adapter, server: Server) -> None:
    """A second loop, after the first has closed, gets its answers, several at once."""

    async def several(client: Client) -> list[str]:
        answers = await asyncio.gather(*(client.acall(asking()) for _ in range(3)))
        return [answer.text for answer in answers]

    for config in (PASSING, THREE):
        with adapter(server.url, config) as client:
            for _ in range(2):
                expect("the texts of the answers", asyncio.run(several(client)), [_SUM] * 3)


def a_cancelled_call_leaves_the_provider_alone(adapter: Adapter, server: Server) -> None:
    """Every request of the call has been given up soon after, whether it is streamed or not."""
    for begin in (_answered, _streamed):
        for config, requests in ((PASSING, 1), (THREE, 3)):
            with adapter(server.url, config) as client:
                server.reset()
                seen = asyncio.run(_cancelled(begin(client), server, requests))
            expect("requests begun, and soon given up", seen, (True, True))
            expect("the requests given up", server.abandoned, requests)


async def _answered(client: Client) -> None:
    await client.acall(asking("delay=5000"))


async def _streamed(client: Client) -> None:
    await anext(client.astream(asking("delay=5000")))


async def _cancelled(call: Coroutine[None, None, None], server: Server, requests: int) -> tuple[bool, bool]:
    """Whether so many requests began, and whether all of them ended after `call` was cancelled."""
    task = asyncio.ensure_future(call)
    begun = await _seen(lambda: server.in_flight == requests)
    task.cancel()
    over = await _seen(lambda: server.in_flight == 0)
    await asyncio.wait([task])
    return begun, over


async def _seen(true: Callable[[], bool]) -> bool:
    for _ in range(_LOOKS):
        if true():
            return True
        await asyncio.sleep(_PAUSE)
    return False
