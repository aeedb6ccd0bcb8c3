"""Drivers for callers that watch."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from adaptive_middleware.effects import Begin, Drop, Extend, Flow, Follow
from adaptive_middleware.engine import arun, run
from adaptive_middleware.errors import NotContinuing, SamplerError
from adaptive_middleware.live import astream, stream
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.ports import AsyncPorts, Ports
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer
from adaptive_middleware.types import Outcome, Path, Request

REQUEST = Request("count")
TEXT = "one\n\ntwo\n\nthree"
GROWING = ["one\n\n", "one\n\ntwo\n\n", TEXT]


def first_followed(dropped: list[str] | None = None) -> Flow[str]:
    first, second = yield from Begin(REQUEST, 2)
    try:
        path = yield from Follow(REQUEST, first)
    finally:
        closed = yield from Drop(REQUEST, (second,))
        if dropped is not None:
            dropped += [path.text for path in closed]
    return path.text


def world() -> tuple[Ports, ScriptedStreamer]:
    streamer = ScriptedStreamer([TEXT])
    return Ports(ScriptedSampler([TEXT]), streamer=streamer), streamer


def texts(seen: Sequence[Path | str]) -> list[str]:
    return [one.text if isinstance(one, Path) else f"result: {one}" for one in seen]


def test_a_watching_caller_sees_a_followed_answer_grow_and_then_the_result() -> None:
    assert texts(list(stream(first_followed(), world()[0]))) == [*GROWING, f"result: {TEXT}"]


def test_a_caller_that_does_not_watch_gets_the_same_result() -> None:
    assert run(first_followed(), world()[0]) == TEXT


async def test_the_asynchronous_drivers_do_the_same() -> None:
    ports = AsyncPorts(ScriptedSampler([TEXT]), streamer=ScriptedStreamer([TEXT]))
    assert texts([one async for one in astream(first_followed(), ports)]) == [*GROWING, f"result: {TEXT}"]
    assert await arun(first_followed(), ports) == TEXT


def test_whoever_stops_watching_ends_the_flow_and_what_is_open_is_dropped() -> None:
    ports, streamer = world()
    watched = stream(first_followed(), ports)
    next(watched)
    watched.close()
    assert streamer.dropped == [""]


async def test_whoever_stops_watching_asynchronously_ends_the_flow_too() -> None:
    streamer = ScriptedStreamer([TEXT])
    watched = astream(first_followed(), AsyncPorts(ScriptedSampler([TEXT]), streamer=streamer))
    await anext(watched)
    await watched.aclose()
    assert streamer.dropped == [""]


def test_an_answer_that_cannot_be_followed_is_an_error_thrown_into_the_flow() -> None:
    def flow() -> Flow[str]:
        try:
            yield from Follow(REQUEST, Path(done=False))
        except SamplerError as error:
            return str(error)
        return "followed"

    (said,) = stream(flow(), Ports(ScriptedSampler([TEXT])))
    assert "no streamer" in str(said)


async def test_that_is_so_asynchronously_too() -> None:
    def flow() -> Flow[str]:
        try:
            yield from Follow(REQUEST, Path(done=False))
        except SamplerError as error:
            return str(error)
        return "followed"

    said = [one async for one in astream(flow(), AsyncPorts(ScriptedSampler([TEXT])))]
    assert "no streamer" in str(said[0])


class Doubling:
    """Continues every path by a step that says which continuation it is; gives `extra` more than asked."""

    def __init__(self, extra: int = 0) -> None:
        self.extra = extra

    def extend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:
        return [
            Path((*path.steps, f"{k}\n"), done=False) for path in paths for k in range(fanout + self.extra)
        ]

    async def aextend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:
        return self.extend(request, paths, fanout)


def twice_extended() -> Flow[list[str]]:
    once = yield from Extend(REQUEST, (Path(done=False),), 2)
    longer = yield from Extend(REQUEST, tuple(once), 2)
    return [path.text for path in longer]


async def test_extend_continues_each_path_in_order() -> None:
    expected = ["0\n0\n", "0\n1\n", "1\n0\n", "1\n1\n"]
    assert run(twice_extended(), Ports(ScriptedSampler([TEXT]), extender=Doubling())) == expected
    assert await arun(twice_extended(), AsyncPorts(ScriptedSampler([TEXT]), extender=Doubling())) == expected


async def test_extend_needs_an_extender_that_gives_no_more_than_was_asked_for() -> None:
    with pytest.raises(NotContinuing, match="no extender"):
        run(twice_extended(), Ports(ScriptedSampler([TEXT])))
    with pytest.raises(NotContinuing, match="no extender"):
        await arun(twice_extended(), AsyncPorts(ScriptedSampler([TEXT])))
    with pytest.raises(SamplerError, match="3 continuations where at most 2"):
        run(twice_extended(), Ports(ScriptedSampler([TEXT]), extender=Doubling(1)))


async def test_the_middleware_streams_what_its_strategy_follows() -> None:
    def strategy(request: Request) -> Flow[Outcome]:
        (first,) = yield from Begin(request, 1)
        return Outcome((yield from Follow(request, first)))

    middleware = Middleware(strategy)
    seen = list(middleware.stream(REQUEST, ScriptedSampler([]), streamer=ScriptedStreamer([TEXT])))
    assert [one.text for one in seen if isinstance(one, Path)] == GROWING
    assert isinstance(seen[-1], Outcome)
    assert seen[-1].chosen.text == TEXT
    watched = middleware.astream(REQUEST, ScriptedSampler([]), streamer=ScriptedStreamer([TEXT]))
    assert [one async for one in watched] == seen
