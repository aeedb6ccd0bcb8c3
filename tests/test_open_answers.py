"""Whatever a strategy leaves open is closed when the call ends, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from adaptive_middleware import Middleware
from adaptive_middleware.effects import Advance, Begin, Drop, Flow, Follow
from adaptive_middleware.testing import ScriptedSampler, ScriptedStreamer
from adaptive_middleware.types import Outcome, Path, Request

ASKED = Request("count")
TEXT = "one\n\ntwo\n\nthree"


class Ends(Exception):
    """What a dying strategy raises."""


def dies(request: Request) -> Flow[Outcome]:
    paths = yield from Begin(request, 3)
    paths = yield from Advance(request, tuple(paths))
    yield from Drop(request, (paths[0],))
    raise Ends


def forgets(request: Request) -> Flow[Outcome]:
    yield from Begin(request, 2)
    (path,) = yield from Begin(request, 1)
    while not path.ended:
        (path,) = yield from Advance(request, (path,))
    return Outcome(chosen=path)


def shows(request: Request) -> Flow[Outcome]:
    (path,) = yield from Begin(request, 1)
    yield from Begin(request, 1)
    return Outcome(chosen=(yield from Follow(request, path)))


def driven(kind: str, middleware: Middleware, streamer: ScriptedStreamer) -> Outcome | None:
    sampler = ScriptedSampler(["plain"])
    if kind == "run":
        return middleware.run(ASKED, sampler, streamer=streamer)
    if kind == "arun":
        return asyncio.run(middleware.arun(ASKED, sampler, streamer=streamer))
    if kind == "stream":
        return last(middleware.stream(ASKED, sampler, streamer=streamer))

    async def watched() -> Outcome | None:
        seen = [one async for one in middleware.astream(ASKED, sampler, streamer=streamer)]
        return last(iter(seen))

    return asyncio.run(watched())


def last(seen: Iterator[Path | Outcome]) -> Outcome | None:
    return [one for one in seen if isinstance(one, Outcome)][-1]


KINDS = pytest.mark.parametrize("kind", ["run", "arun", "stream", "astream"])


@KINDS
def test_a_strategy_that_dies_leaves_no_answer_open(kind: str) -> None:
    streamer = ScriptedStreamer([TEXT])
    with suppress(Ends):
        driven(kind, Middleware(dies), streamer)
    assert streamer.dropped == ["one\n\n"] * 3


@KINDS
def test_answers_that_a_strategy_forgot_are_closed_and_finished_ones_are_not_dropped(kind: str) -> None:
    streamer = ScriptedStreamer([TEXT, "other", "last\n\none"])
    outcome = driven(kind, Middleware(forgets), streamer)
    assert outcome is not None
    assert outcome.chosen.text == "last\n\none"
    assert streamer.dropped == ["", ""]


@KINDS
def test_a_followed_answer_is_not_dropped_but_the_one_beside_it_is(kind: str) -> None:
    streamer = ScriptedStreamer([TEXT, "other\n\none"])
    outcome = driven(kind, Middleware(shows), streamer)
    assert outcome is not None
    assert (outcome.chosen.text, streamer.dropped) == (TEXT, [""])


def test_a_watcher_that_goes_away_leaves_no_answer_open() -> None:
    streamer = ScriptedStreamer([TEXT, "other\n\none"])
    with closing(Middleware(shows).stream(ASKED, ScriptedSampler(["x"]), streamer=streamer)) as watched:  # type: ignore[type-var]
        next(watched)
    assert sorted(streamer.dropped) == ["", "one\n\n"]


async def test_a_cancelled_call_leaves_no_answer_open() -> None:
    class Slow(ScriptedStreamer):
        async def aadvance(self, request: Request, paths: object) -> list[Path]:
            await asyncio.sleep(60)
            raise AssertionError

    streamer = Slow([TEXT])
    call = asyncio.create_task(Middleware(dies).arun(ASKED, ScriptedSampler(["x"]), streamer=streamer))
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert streamer.dropped == [""] * 3
