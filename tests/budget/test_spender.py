from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

from adaptive_middleware.budget.spender import Spender, carried, spender, spending


def test_outside_of_every_block_nobody_is_named() -> None:
    assert spender() == Spender(None, None)


def test_a_block_ends_with_what_was_before_also_when_it_fails() -> None:
    with spending(tenant="acme", run="1"):
        try:
            with spending(run="2"):
                raise KeyError  # noqa: TRY301
        except KeyError:
            pass
        assert spender() == Spender("acme", "1")
    assert spender() == Spender()


async def test_tasks_and_their_threads_inherit_and_do_not_mix() -> None:
    async def call() -> tuple[Spender, Spender]:
        await asyncio.sleep(0)
        return spender(), await asyncio.to_thread(spender)

    async def run(name: str) -> list[tuple[Spender, Spender]]:
        with spending(run=name):
            return await asyncio.gather(*(asyncio.create_task(call()) for _ in range(3)))

    one, two = await asyncio.gather(run("one"), run("two"))
    assert one == [(Spender(run="one"),) * 2] * 3
    assert two == [(Spender(run="two"),) * 2] * 3


def test_a_thread_inherits_what_is_carried_to_it() -> None:
    seen: list[Spender] = []

    def look() -> None:
        seen.append(spender())

    with spending(tenant="acme", run="1"):
        thread = Thread(target=carried(look))
        thread.start()
    thread.join()
    assert seen == [Spender("acme", "1")]


def test_many_threads_may_call_what_is_carried_at_once() -> None:
    def run_of(number: int) -> tuple[int, str | None]:
        return number, spender().run

    with spending(run="1"):
        work = carried(run_of)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(50))) == [(number, "1") for number in range(50)]
        assert {pool.submit(spender).result() for _ in range(20)} == {Spender()}, "the threads are as before"
    assert spender() == Spender()
