"""The two drivers for callers that watch: what a strategy follows is handed on while it is written.

As `run` and `arun`, but as generators: they yield the followed path each time it has grown, and last of all
the result of the flow. Whoever stops watching ends the flow: what it had open is dropped.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from typing import Any, TypeVar

from adaptive_middleware.effects import Effect, Flow, Follow
from adaptive_middleware.engine import aanswered, answered, streaming
from adaptive_middleware.following import afollowed, followed
from adaptive_middleware.ports import AsyncPorts, Ports
from adaptive_middleware.types import Path

T = TypeVar("T")


def stream(flow: Flow[T], ports: Ports) -> Generator[Path | T, None, None]:
    """Drive `flow` with synchronous ports; yields followed paths as they grow, then the result."""
    try:
        effect: Effect[Any] = next(flow)
        while True:
            try:
                if isinstance(effect, Follow):
                    answer: object = yield from followed(effect, streaming(ports.streamer))
                else:
                    answer = answered(effect, ports)
            except BaseException as error:  # noqa: BLE001 - not swallowed: the flow decides
                effect = flow.throw(error)
            else:
                effect = flow.send(answer)
    except StopIteration as stop:
        yield stop.value


async def astream(flow: Flow[T], ports: AsyncPorts) -> AsyncGenerator[Path | T, None]:
    """Drive `flow` with asynchronous ports; yields followed paths as they grow, then the result.

    The deadline bounds the wait for each piece of a followed path, as it bounds every other effect.
    """
    try:
        effect: Effect[Any] = next(flow)
        while True:
            try:
                if isinstance(effect, Follow):
                    answer: object = effect.path
                    async with aclosing(afollowed(effect, streaming(ports.streamer))) as growing:
                        async for path in growing:
                            answer = path
                            yield path
                else:
                    answer = await aanswered(effect, ports)
            except BaseException as error:  # noqa: BLE001 - not swallowed: the flow decides
                effect = flow.throw(error)
            else:
                effect = flow.send(answer)
    except StopIteration as stop:
        yield stop.value
