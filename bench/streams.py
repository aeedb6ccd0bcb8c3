"""Streams under load, counted: 1000 calls at once, and 10,000 cancelled streams; prints JSON.

Run as `python -m bench.streams`. Client and server are one process on the loopback interface, so descriptors are
those of both; the server is `testing/fake_sse.py`. `--calls` and `--cancelled` set the sizes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import sys
import time
from pathlib import Path as File

from adaptive_middleware import Middleware, Request, fixed
from adaptive_middleware.sampling.astreams import AsyncStepStreamer
from adaptive_middleware.sampling.endpoint import Endpoint
from adaptive_middleware.sampling.openai_stream import AsyncOpenAIStream
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import ScriptedSampler, TableScorer
from adaptive_middleware.testing.fake_sse import StreamServer, answer_script, fake_sse

ASKED = Request("What is 2 + 2?")
PIECES = ["2 + 2", " = 4\n\n", "4 is", " even\n\n", "The answer", " is 4."]
WORKERS = 20


def state(server: StreamServer) -> dict[str, int]:
    """What is open now: tasks of this loop, descriptors of this process, answers at the server."""
    gc.collect()
    files = sum(1 for _ in File("/proc/self/fd").iterdir())
    return {"tasks": len(asyncio.all_tasks()), "descriptors": files, "server_open": server.open}


async def settled(server: StreamServer) -> dict[str, int]:
    """The state once the server has seen every client leave, or after ten seconds."""
    for _ in range(1000):
        if server.open == 0:
            break
        await asyncio.sleep(0.01)
    return state(server)


async def calls_at_once(server: StreamServer, streamer: AsyncStepStreamer, calls: int) -> dict[str, object]:
    """`calls` calls of `prune` with two answers each, all at the same moment."""
    strategy = prune(fixed(2), max_samples=2, score_question=False)
    middleware, sampler = Middleware(strategy, scorer=TableScorer(0.9)), ScriptedSampler(["plain"])
    await middleware.arun(ASKED, sampler, streamer=streamer)
    before, began = await settled(server), time.perf_counter()
    running = [middleware.arun(ASKED, sampler, streamer=streamer) for _ in range(calls)]
    outcomes = await asyncio.gather(*running, return_exceptions=True)
    seconds = time.perf_counter() - began
    good = sum(not isinstance(one, BaseException) and one.chosen.text == "".join(PIECES) for one in outcomes)
    after = await settled(server)
    return {"calls": calls, "answered": good, "peak_streams": server.peak, "seconds": round(seconds, 1)} | {
        "before": before,
        "after": after,
    }


async def churn(server: StreamServer, streamer: AsyncStepStreamer, cancelled: int) -> dict[str, object]:
    """Begin 20 streams, cancel 19 of them at ever other moments, until `cancelled` were; then 12 plain calls."""
    before, began, count, turn = await settled(server), time.perf_counter(), 0, 0
    abandoned = server.abandoned
    while count < cancelled:
        running = [asyncio.create_task(one_answer(streamer)) for _ in range(WORKERS)]
        await asyncio.sleep(0.002 * (turn % 20))
        count += sum(task.cancel() for task in running[1:])
        await asyncio.wait(running)
        turn += 1
    seconds = time.perf_counter() - began
    healthy = [await one_answer(streamer) == "".join(PIECES) for _ in range(12)]
    after = await settled(server)
    return {"cancelled": count, "left_in_mid_answer": server.abandoned - abandoned} | {
        "answered_afterwards": f"{sum(healthy)} of {len(healthy)}",
        "seconds": round(seconds, 1),
        "before": before,
        "after": after,
    }


async def one_answer(streamer: AsyncStepStreamer) -> str:
    """One answer, read to its end or dropped where this is cancelled."""
    (path,) = opened = await streamer.abegin(ASKED, 1)
    try:
        while not path.ended:
            (path,) = opened = await streamer.aadvance(ASKED, [path])
        return path.text
    finally:
        await streamer.adrop(ASKED, opened)


async def measured(server: StreamServer, calls: int, cancelled: int) -> dict[str, object]:
    """Both counts, with one client."""
    source = AsyncOpenAIStream(Endpoint(server.url, "good"))
    async with source.client:
        streamer = AsyncStepStreamer(source)
        at_once = await calls_at_once(server, streamer, calls)
        return {"at_once": at_once, "churn": await churn(server, streamer, cancelled)}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="python -m bench.streams", description=__doc__)
    options.add_argument("--calls", type=int, default=1000)
    options.add_argument("--cancelled", type=int, default=10_000)
    chosen = options.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with fake_sse({"good": answer_script(PIECES, pause=0.005)}) as server:
        found = asyncio.run(measured(server, chosen.calls, chosen.cancelled))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
