import asyncio
import contextvars
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from adaptive_middleware.errors import DeadlineExceeded
from adaptive_middleware.sampling.fanout import afan_out, fan_out
from adaptive_middleware.testing import answer
from adaptive_middleware.types import Path

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("NAME", default="nobody")
FAR = 60.0


def scripted(*script: Path | Exception) -> Callable[[], Path]:
    items = iter(script)
    lock = threading.Lock()

    def draw() -> Path:
        with lock:
            item = next(items)
        if isinstance(item, Exception):
            raise item
        return item

    return draw


def ascripted(*script: Path | Exception) -> Callable[[], Awaitable[Path]]:
    draw = scripted(*script)

    async def adraw() -> Path:
        await asyncio.sleep(0)
        return draw()

    return adraw


async def both(*script: Path | Exception, n: int, max_concurrency: int = 16) -> list[list[Path]]:
    return [
        fan_out(scripted(*script), n, max_concurrency=max_concurrency),
        await afan_out(ascripted(*script), n, max_concurrency=max_concurrency),
        await afan_out(ascripted(*script), n, deadline=time.monotonic() + FAR),
    ]


async def test_one_path_comes_back_for_each_requested_sample() -> None:
    for paths in await both(answer("a"), answer("b"), answer("c"), n=3, max_concurrency=1):
        assert [path.text for path in paths] == ["a", "b", "c"]


async def test_a_failed_draw_is_a_path_with_the_error_and_the_others_are_kept() -> None:
    for paths in await both(answer("a"), ValueError("down"), answer("c"), n=3, max_concurrency=1):
        assert [path.error for path in paths] == [None, "ValueError: down", None]
        assert paths[1].usage.requests == 1


async def test_when_every_draw_fails_the_first_exception_is_raised_unchanged() -> None:
    for n in (1, 3):
        first = ValueError("first")
        errors = [first, *(ValueError(f"later {i}") for i in range(n - 1))]
        with pytest.raises(ValueError, match="first") as caught:
            fan_out(scripted(*errors), n, max_concurrency=1)
        assert caught.value is first
        with pytest.raises(ValueError, match="first") as caught:
            await afan_out(ascripted(*errors), n)
        assert caught.value is first


def test_a_single_draw_runs_in_the_callers_thread() -> None:
    threads: list[int] = []

    def draw() -> Path:
        threads.append(threading.get_ident())
        return answer("a")

    fan_out(draw, 1)
    assert threads == [threading.get_ident()]


async def test_every_draw_sees_the_callers_context() -> None:
    def draw() -> Path:
        return answer(NAME.get())

    async def adraw() -> Path:
        return draw()

    token = NAME.set("caller")
    try:
        assert {path.text for path in [*fan_out(draw, 3), *await afan_out(adraw, 3)]} == {"caller"}
    finally:
        NAME.reset(token)


def test_threads_never_exceed_max_concurrency_and_do_reach_it() -> None:
    together = threading.Barrier(3, timeout=10)
    running: list[int] = []
    peak: list[int] = []
    lock = threading.Lock()

    def draw() -> Path:
        with lock:
            running.append(1)
            peak.append(len(running))
        together.wait()
        with lock:
            running.pop()
        return answer("a")

    assert len(fan_out(draw, 9, max_concurrency=3)) == 9
    assert max(peak) == 3


async def test_awaited_draws_never_exceed_max_concurrency_and_do_reach_it() -> None:
    running = peak = 0

    async def draw() -> Path:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        for _ in range(3):
            await asyncio.sleep(0)
        running -= 1
        return answer("a")

    assert len(await afan_out(draw, 9, max_concurrency=3)) == 9
    assert peak == 3


def test_threads_still_drawing_at_the_deadline_are_not_waited_for() -> None:
    release = threading.Event()
    turn = iter(range(3))

    def draw() -> Path:
        if next(turn) != 0:
            release.wait(10)
        return answer("quick")

    try:
        paths = fan_out(draw, 3, deadline=time.monotonic() + 0.5, max_concurrency=2)
    finally:
        release.set()
    assert paths[0].text == "quick"
    assert [(path.error or "").split(":")[0] for path in paths[1:]] == ["DeadlineExceeded"] * 2


async def test_awaited_draws_still_running_at_the_deadline_are_cancelled() -> None:
    turn = iter(range(3))
    cancelled: list[int] = []

    async def draw() -> Path:
        mine = next(turn)
        if mine == 1:
            return answer("quick")
        try:
            await asyncio.sleep(FAR)
        except asyncio.CancelledError:
            cancelled.append(mine)
            raise
        raise AssertionError

    paths = await afan_out(draw, 3, deadline=time.monotonic() + 0.5)
    assert paths[1].text == "quick"
    assert [(path.error or "").split(":")[0] for path in paths] == [
        "DeadlineExceeded",
        "",
        "DeadlineExceeded",
    ]
    assert cancelled == [0, 2]


async def test_finished_samples_reach_a_caller_whose_own_timer_ends_at_the_deadline() -> None:
    turn = iter(range(2))

    async def draw() -> Path:
        if next(turn) == 0:
            return answer("quick")
        await asyncio.sleep(FAR)
        raise AssertionError

    deadline = time.monotonic() + 0.5
    async with asyncio.timeout(deadline - time.monotonic()):
        paths = await afan_out(draw, 2, deadline=deadline)
    assert paths[0].text == "quick"


async def test_nothing_finished_at_the_deadline_is_a_typed_error_that_names_a_failed_draw_as_its_cause() -> (
    None
):
    down = ValueError("down")
    turn = iter(range(2))

    async def draw() -> Path:
        if next(turn) == 0:
            raise down
        await asyncio.sleep(FAR)
        raise AssertionError

    with pytest.raises(DeadlineExceeded, match="none of 2 samples") as caught:
        await afan_out(draw, 2, deadline=time.monotonic() + 0.3)
    assert caught.value.__cause__ is down


async def test_no_draw_is_started_after_the_deadline() -> None:
    with pytest.raises(DeadlineExceeded, match="none of 1 samples"):
        await afan_out(ascripted(), 1, deadline=time.monotonic() - 1)
    with pytest.raises(DeadlineExceeded, match="none of 2 samples"):
        fan_out(scripted(), 2, deadline=time.monotonic() - 1)


async def test_cancelling_the_call_ends_every_draw_before_it_returns() -> None:
    started = asyncio.Event()
    ended: list[str] = []

    async def draw() -> Path:
        started.set()
        try:
            await asyncio.sleep(FAR)
        finally:
            await asyncio.sleep(0)
            ended.append("ended")
        raise AssertionError

    call = asyncio.create_task(afan_out(draw, 4))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ended == ["ended"] * 4


async def test_a_draw_that_cancels_itself_is_a_failed_sample() -> None:
    turn = iter(range(2))

    async def draw() -> Path:
        if next(turn) == 0:
            raise asyncio.CancelledError
        return answer("a")

    paths = await afan_out(draw, 2)
    assert (paths[0].error or "").startswith("CancelledError")
    assert paths[1].text == "a"
