"""Any callable is a sampler: calls are samples, failures are data, and the deadline of the request is kept."""

import asyncio
import threading
import time

import pytest

from adaptive_middleware.errors import DeadlineExceeded
from adaptive_middleware.sampling.draws import AsyncDraws, Draws
from adaptive_middleware.testing import answer
from adaptive_middleware.types import Path, Request

ASKED = Request("What is 2 + 2?")


def test_every_sample_is_one_call_with_the_request_itself() -> None:
    seen: list[Request] = []

    def draw(request: Request) -> Path:
        seen.append(request)
        return answer("4")

    assert [path.text for path in Draws(draw).sample(ASKED, 3)] == ["4", "4", "4"]
    assert len(seen) == 3
    assert all(one is ASKED for one in seen)


async def test_awaited_draws_are_at_most_so_many_at_the_same_moment() -> None:
    running, most = 0, 0

    async def draw(_: Request) -> Path:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return answer("4")

    assert len(await AsyncDraws(draw, max_concurrency=2).asample(ASKED, 5)) == 5
    assert most == 2


def test_one_thread_draws_one_after_the_other() -> None:
    inside = threading.Semaphore(1)

    def draw(_: Request) -> Path:
        assert inside.acquire(blocking=False)
        time.sleep(0.001)
        inside.release()
        return answer("4")

    assert all(path.error is None for path in Draws(draw, max_concurrency=1).sample(ASKED, 4))


async def test_a_call_that_fails_is_a_failed_sample_and_the_deadline_ends_both() -> None:
    calls = iter([RuntimeError("busy"), None])

    async def draw(_: Request) -> Path:
        if error := next(calls):
            raise error
        return answer("4")

    failed, good = await AsyncDraws(draw).asample(ASKED, 2)
    assert "busy" in (failed.error or "")
    assert good.text == "4"
    late = Request("?", deadline=time.monotonic() - 1)
    with pytest.raises(DeadlineExceeded):
        Draws(lambda _: answer("4")).sample(late, 2)
    with pytest.raises(DeadlineExceeded):
        await AsyncDraws(draw).asample(late, 2)
