"""Budgets under load: many calls at once on one budget beside one that checks first and counts later; prints JSON.

Run as `python -m bench.budget --json`. `--processes` adds two and four processes on one SQLite file and on one
Redis. Redis is a server of this run's own; without `redis-server` or the package `redis` its numbers are null.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path as File
from statistics import median

from adaptive_middleware import Middleware, Request, Rule, pass_through
from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.budget.memory import MemoryStore
from adaptive_middleware.budget.redis_store import RedisStore
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.budget.store import Ask, BudgetStore, Line, Settlement
from adaptive_middleware.errors import BudgetExhausted, ConfigError
from adaptive_middleware.testing.redis_server import redis_server
from adaptive_middleware.types import Path, Usage
from bench.budget_processes import together

CALLS, BUDGET, LONGEST, REPEATS = 1000, 200_000, 1000, 3000
ASKED = Request("What is 2 + 2?", parameters={"max_tokens": LONGEST})


class Costly:
    """Answers after a few milliseconds, each with a cost of its own, anywhere up to the limit of the request."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    async def asample(self, request: Request, n: int) -> Sequence[Path]:
        """Answers of 1 to 1000 tokens; the provider counts its prompt as well."""
        del request
        await asyncio.sleep(self._random.uniform(0.001, 0.005))
        return [Path(("4",), usage=Usage(8, self._random.randint(1, LONGEST), requests=1)) for _ in range(n)]


async def reserved() -> int:
    """What `CALLS` calls at once settle on a budget that reserves, in tokens."""
    ledger = Ledger((Cap("tokens", BUDGET, on_exhausted="wait"),))
    middleware, sampler = Middleware(rules=[Rule("all", pass_through, budget=ledger)]), Costly(0)
    calls = [middleware.arun(ASKED, sampler) for _ in range(CALLS)]
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, BudgetExhausted):
            raise outcome
    (balance,) = ledger.balances([f"tokens:all=:day={time.strftime('%Y-%m-%d', time.gmtime())}"])
    assert balance.held == 0, "every call has ended"
    return balance.settled


async def checked_first() -> int:
    """What the same calls cost on a budget that is checked before each call and counted after it."""
    spent, sampler = 0, Costly(0)

    async def call() -> None:
        nonlocal spent
        if spent < BUDGET:
            (path,) = await sampler.asample(ASKED, 1)
            spent += path.usage.prompt_tokens + path.usage.completion_tokens

    await asyncio.gather(*(call() for _ in range(CALLS)))
    return spent


def microseconds(store: BudgetStore, repeats: int) -> float:
    """The median time of one reservation and its settlement."""
    ledger = Ledger((Cap("tokens", 10**12),), store)
    line, times = Line("tokens:all=:day=2026-11-26", 10**12, LONGEST, 8, time.time() + 1e6), []
    for turn in range(repeats):
        began = time.perf_counter()
        ledger.reserve(Ask((f"call.{turn}",), (line,), 600.0))
        ledger.settle((Settlement(f"call.{turn}", (7,)),), (line.account,))
        times.append(time.perf_counter() - began)
    return round(median(times) * 1e6, 1)


def measured(*, processes: bool, repeats: int) -> dict[str, object]:
    """Everything that is measured, as plain values."""
    settled, naive = asyncio.run(reserved()), asyncio.run(checked_first())
    found: dict[str, object] = {
        "calls": CALLS,
        "budget": BUDGET,
        "settled": settled,
        "overshoot": max(settled - BUDGET, 0),
        "used_share": round(settled / BUDGET, 4),
        "naive_overshoot": max(naive - BUDGET, 0),
    }
    with ExitStack() as stack:
        folder = File(stack.enter_context(tempfile.TemporaryDirectory()))
        url = _redis(stack)
        sqlite = SqliteStore(folder / "one.db")
        times = {"memory": microseconds(MemoryStore(), repeats), "sqlite": microseconds(sqlite, repeats)}
        sqlite.close()
        found["reserve_settle_us"] = times | {
            "redis": None if url is None else microseconds(RedisStore.at(url), repeats)
        }
        if processes:
            found["processes"] = together(folder, url)
    return found


def _redis(stack: ExitStack) -> str | None:
    try:
        url = stack.enter_context(redis_server())
        RedisStore.at(url).heal()
    except (FileNotFoundError, ConfigError):
        return None
    return url


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.budget", description=__doc__)
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--processes", action="store_true", help="two and four processes, too")
    given = parser.parse_args(arguments)
    found = measured(processes=given.processes, repeats=REPEATS)
    sys.stdout.write(json.dumps(found, indent=None if given.json else 2) + "\n")


if __name__ == "__main__":
    main()
