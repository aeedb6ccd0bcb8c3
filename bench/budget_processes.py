"""Several processes on one budget: whether what they settled is what the store counts, and how fast they are."""

from __future__ import annotations

import multiprocessing
import random
import time
from pathlib import Path as File

from adaptive_middleware.budget.redis_store import RedisStore
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.budget.store import Ask, Line, Settlement

ACCOUNT, LIMIT, TURNS, WORST = "tokens:all=:day=2026-11-26", 40_000, 1000, 100


def together(folder: File, url: str | None) -> dict[str, object]:
    """Two and four processes on one SQLite file, and on one Redis where there is one."""
    places = {"sqlite": str(folder / "many.db")} | ({} if url is None else {"redis": url})
    return {
        kind: {str(n): _counted(place if kind == "redis" else f"{place}.{n}", n) for n in (2, 4)}
        for kind, place in places.items()
    }


def _opened(place: str, processes: int) -> SqliteStore | RedisStore:
    if place.startswith("redis://"):
        return RedisStore.at(place, prefix=f"bench-{processes}")
    return SqliteStore(place, busy=60.0)


def _counted(place: str, processes: int) -> dict[str, object]:
    began = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        taken = pool.starmap(_work, [(place, processes, number) for number in range(processes)])
    seconds = time.perf_counter() - began
    store = _opened(place, processes)
    (balance,) = store.balances([ACCOUNT])
    store.close()
    return {
        "budget": LIMIT,
        "settled": balance.settled,
        "held": balance.held,
        "exact": balance.settled == sum(taken) and balance.held == 0,
        "overshoot": max(balance.settled - LIMIT, 0),
        "seconds": round(seconds, 2),
    }


def _work(place: str, processes: int, number: int) -> int:
    """Reserve and settle over and over; what this process settled in all."""
    store, dice, spent = _opened(place, processes), random.Random(number), 0
    line = Line(ACCOUNT, LIMIT, WORST, 1, time.time() + 1e6)
    for turn in range(TURNS):
        hold = f"{number}.{turn}"
        if store.reserve(Ask((hold,), (line,), 600.0)).holds:
            cost = dice.randint(1, WORST)
            store.settle([Settlement(hold, (cost,))])
            spent += cost
    store.close()
    return spent
