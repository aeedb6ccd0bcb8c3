"""`prune` end to end over real streams: dropped answers are closed at the server, and nothing leaks however many calls run."""

from __future__ import annotations

import asyncio
import gc
import resource
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path as File
from typing import Any

import pytest

from adaptive_middleware import Middleware
from adaptive_middleware.policy import fixed
from adaptive_middleware.policy.pruning import worth_finishing
from adaptive_middleware.sampling.astreams import AsyncStepStreamer
from adaptive_middleware.sampling.endpoint import Endpoint
from adaptive_middleware.sampling.openai_stream import AsyncOpenAIStream, OpenAIStream, Patience
from adaptive_middleware.sampling.streams import StepStreamer
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import ScriptedSampler, TableScorer
from adaptive_middleware.testing.fake_sse import Script, StreamServer, answer_script, fake_sse
from adaptive_middleware.types import Outcome, Path, Request

FILES = File("/proc/self/fd")
ASKED = Request("What is 2 + 2?")
GOOD = ["2 + 2", " = 4\n\n", "4 is", " even\n\n", "The answer", " is 4."]
BAD = ["2 + 2", " = 5\n\n", "5 is", " odd\n\n", "The answer", " is 5."]


def rule(path: Path) -> list[float]:
    return [0.02 if "5" in step else 0.95 for step in path.steps] or [0.5]


def in_turn(good: Script, bad: Script, each: int) -> Any:
    """Every `each`-th answer is good, the others never end unless they are dropped."""
    number = count(1)

    def script(body: Mapping[str, Any]) -> Script:
        return bad if next(number) % each else good

    return script


def pruning(samples: int) -> Middleware:
    strategy = prune(fixed(samples), keep=worth_finishing(), max_samples=samples, score_question=False)
    return Middleware(strategy, scorer=TableScorer(rule))


@pytest.fixture
def server() -> Iterator[StreamServer]:
    endless = [*answer_script(BAD)[:4], 600.0]
    scripts = {
        "two of three": in_turn(answer_script(GOOD), endless, 3),
        "good": answer_script(GOOD, pause=0.001),
    }
    with fake_sse(scripts) as running:
        yield running


async def until_closed(server: StreamServer) -> None:
    for _ in range(500):
        if server.open == 0:
            return
        await asyncio.sleep(0.01)


def check(outcome: Outcome, server: StreamServer) -> None:
    assert outcome.chosen.text == "".join(GOOD)
    assert [one.path.text for one in outcome.dropped] == ["2 + 2 = 5\n\n"] * 2
    assert (server.open, server.abandoned, len(server.asked)) == (0, 2, 3)
    assert all(one.path.usage.completion_tokens > 0 for one in outcome.dropped)
    assert outcome.usage.requests == 3


async def test_prune_drops_the_losers_of_real_streams_and_the_server_sees_them_leave(
    server: StreamServer,
) -> None:
    source = AsyncOpenAIStream(Endpoint(server.url, "two of three"))
    async with source.client:
        streamer = AsyncStepStreamer(source)
        outcome = await pruning(3).arun(ASKED, ScriptedSampler(["plain"]), streamer=streamer)
        await until_closed(server)
    check(outcome, server)


async def test_prune_from_threads_drops_the_losers_of_real_streams(server: StreamServer) -> None:
    source = OpenAIStream(Endpoint(server.url, "two of three"))
    with source.client:
        outcome = pruning(3).run(ASKED, ScriptedSampler(["plain"]), streamer=StepStreamer(source))
        await until_closed(server)
    check(outcome, server)


@pytest.fixture
def many_files() -> Iterator[None]:
    """Client and server of 1000 calls live in this process: about 4000 descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, enough), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def descriptors() -> int:
    return sum(1 for _ in FILES.iterdir())


SLOW_MACHINE = Patience(connect=200, first=200, idle=200)
"""A thousand connections at once on one thread: what they leave is the question, not how long they take."""


@pytest.mark.usefixtures("many_files")
async def test_1000_calls_at_once_leave_no_task_no_connection_and_no_descriptor(server: StreamServer) -> None:
    middleware = pruning(2)
    source = AsyncOpenAIStream(Endpoint(server.url, "good"), patience=SLOW_MACHINE)
    sampler = ScriptedSampler(["plain"])
    async with source.client:
        streamer = AsyncStepStreamer(source)
        await middleware.arun(ASKED, sampler, streamer=streamer)
        await until_closed(server)
        tasks, files = asyncio.all_tasks(), descriptors()
        calls = [middleware.arun(ASKED, sampler, streamer=streamer) for _ in range(1000)]
        outcomes = await asyncio.gather(*calls)
        await until_closed(server)
        assert {outcome.chosen.text for outcome in outcomes} == {"".join(GOOD)}
        assert asyncio.all_tasks() == tasks
        assert (server.open, len(server.asked)) == (0, 2002)
        assert await fewest_descriptors(files) <= files


async def fewest_descriptors(enough: int) -> int:
    """The descriptors of this process, the server's too, which its thread may be about to close."""
    gc.collect()
    for _ in range(200):
        if descriptors() <= enough:
            break
        await asyncio.sleep(0.01)
    return descriptors()


async def test_after_many_cancelled_streams_the_pool_is_healthy(server: StreamServer) -> None:
    """The churn that ends httpx 0.28's pool: begin 20, cancel 19, again and again."""
    source = AsyncOpenAIStream(Endpoint(server.url, "good"), patience=SLOW_MACHINE)
    streamer = AsyncStepStreamer(source)
    async with source.client:
        await one_call(streamer)
        await until_closed(server)
        tasks, files = asyncio.all_tasks(), descriptors()
        for turn in range(40):
            running = [asyncio.create_task(one_call(streamer)) for _ in range(20)]
            await asyncio.sleep(0.001 * (turn % 10))
            for task in running[1:]:
                task.cancel()
            await asyncio.wait(running)
        assert [await one_call(streamer) for _ in range(12)] == ["".join(GOOD)] * 12
        await until_closed(server)
        assert (asyncio.all_tasks(), server.open) == (tasks, 0)
        assert await fewest_descriptors(files) <= files


async def one_call(streamer: AsyncStepStreamer) -> str:
    (path,) = opened = await streamer.abegin(ASKED, 1)
    try:
        while not path.ended:
            (path,) = opened = await streamer.aadvance(ASKED, [path])
        return path.text
    finally:
        await streamer.adrop(ASKED, opened)


async def test_a_cancelled_call_is_closed_at_the_server(server: StreamServer) -> None:
    source = AsyncOpenAIStream(Endpoint(server.url, "two of three"))
    async with source.client:
        streamer = AsyncStepStreamer(source)
        never = prune(fixed(2), keep=lambda state, one: 1, max_samples=2, score_question=False)
        middleware = Middleware(never, scorer=TableScorer(rule))
        call = asyncio.create_task(middleware.arun(ASKED, ScriptedSampler(["x"]), streamer=streamer))
        for _ in range(500):
            if len(server.asked) == 2:
                break
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until_closed(server)
    assert (server.open, len(server.asked)) == (0, 2)
