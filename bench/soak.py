"""A long run at a steady rate: calls arrive by the clock, some fail, some clients leave; prints JSON.

Run as `python -m bench.soak` (three minutes at 200 calls a second; `--seconds`, `--rate`). Every call is scored, calibrated and stopped
by its belief, under a SQLite budget, with every call kept in a trace store. Resident memory is looked at once a second; its
slope is the least-squares line after the warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path as File
from statistics import linear_regression

from adaptive_middleware import Middleware, Request, Rule, best_of_n, optimal_stopping
from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from adaptive_middleware.types import Path, StepScores, Usage

WARM_UP = 30
LEAVE, FAIL, NO_SCORE = 0.02, 0.01, 0.01
"""Shares of the clients that leave, of the draws that fail, and of the scorings that fail."""
PAGE = os.sysconf("SC_PAGE_SIZE")


class Flaky:
    """Answers within 20 ms with a text of its own; some draws fail."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    async def asample(self, request: Request, n: int) -> Sequence[Path]:
        """`n` answers, one in three of them right."""
        del request
        await asyncio.sleep(self._random.uniform(0.001, 0.02))
        if self._random.random() < FAIL:
            message = "the provider hung up"
            raise ConnectionError(message)
        return [self._answer() for _ in range(n)]

    def _answer(self) -> Path:
        text = str(self._random.choice((4, 5, self._random.randrange(10**6))))
        return Path(
            (f"We add, {self._random.random()}\n\n", f"so it is {text}"), usage=Usage(8, 30, requests=1)
        )


class SometimesDown:
    """A scorer that knows right answers, and fails now and then."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def score(self, request: Request, paths: Sequence[Path]) -> Sequence[StepScores]:
        """0.9 for each step of a right answer, 0.2 for each of another one."""
        del request
        if self._random.random() < NO_SCORE:
            message = "the scorer is restarting"
            raise ConnectionError(message)
        return [StepScores(_scores(path), tokens=len(path.text)) for path in paths]


class Soak:
    """Calls at a rate on one middleware; `ended` counts what became of them."""

    def __init__(self, folder: File, seed: int = 0) -> None:
        self.sink = TraceSink(TraceSettings(folder / "traces.db"))
        self.ledger = Ledger((Cap("tokens", 10**12),), SqliteStore(folder / "budget.db"))
        rule = Rule(
            "all", best_of_n(optimal_stopping(0.9), max_samples=8, calibrate=uncalibrated), budget=self.ledger
        )
        self.middleware = Middleware(rules=[rule], scorer=SometimesDown(seed), observers=[self.sink])
        self._sampler, self._random = Flaky(seed), random.Random(seed)
        self.ended: Counter[str] = Counter()
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float, rate: float) -> list[dict[str, float]]:
        """What was open at each second; every call has ended when this returns."""
        began, seen, sent = time.monotonic(), list[dict[str, float]](), 0
        while (now := time.monotonic() - began) < seconds:
            while sent < now * rate:
                sent += 1
                self._send(sent)
            if now >= len(seen):
                seen.append(_open_now(now, len(self._running)))
            await asyncio.sleep(0.002)
        await asyncio.gather(*self._running)
        return seen

    def _send(self, number: int) -> None:
        task = asyncio.create_task(self._call(number))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _call(self, number: int) -> None:
        request = Request(f"What is 2 + 2? ({number})", parameters={"max_tokens": 60})
        leaves = self._random.uniform(0.0, 0.02) if self._random.random() < LEAVE else None
        try:
            async with asyncio.timeout(leaves):
                outcome = await self.middleware.arun(request, self._sampler)
        except TimeoutError:
            self.ended["left"] += 1
        except ConnectionError:
            self.ended["failed"] += 1
        else:
            self.ended["degraded" if outcome.degraded else "answered"] += 1


def _scores(path: Path) -> tuple[float, ...]:
    return (0.9 if path.text.endswith("is 4") else 0.2,) * max(1, len(path.steps))


def _open_now(second: float, calls: int) -> dict[str, float]:
    files = sum(1 for _ in File("/proc/self/fd").iterdir())
    resident = int(File("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20
    tasks = len(asyncio.all_tasks()) - calls
    return {"second": second, "rss_mb": resident, "descriptors": files, "tasks": tasks, "calls_open": calls}


def measured(seconds: float, rate: float) -> dict[str, object]:
    """The run as plain values."""
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(File(folder))
        began = time.monotonic()
        seen = asyncio.run(soak.run(seconds, rate))
        took = time.monotonic() - began
        soak.sink.flush(60)
        gc.collect()
        steady = [each for each in seen if each["second"] >= min(WARM_UP, seconds / 3)] or seen[-1:]
        held = sum(balance.held for balance in soak.ledger.balances([_account()]))
        found: dict[str, object] = {
            "calls": soak.ended.total(),
            "per_second": round(soak.ended.total() / took, 1),
            **soak.ended,
            "rss_mb": [round(steady[0]["rss_mb"], 1), round(steady[-1]["rss_mb"], 1)],
            "rss_slope_mb_per_minute": round(_slope(steady), 3) if len(steady) > 1 else None,
            **{name: _range(steady, name) for name in ("descriptors", "tasks", "calls_open")},
            "kept": soak.sink.written,
            "not_kept": soak.sink.dropped,
            "held_at_the_end": held,
        }
        soak.sink.close()
    return found


def _account() -> str:
    return f"tokens:all=:day={time.strftime('%Y-%m-%d', time.gmtime())}"


def _slope(seen: Sequence[dict[str, float]]) -> float:
    line = linear_regression([each["second"] for each in seen], [each["rss_mb"] for each in seen])
    return 60 * line.slope


def _range(seen: Sequence[dict[str, float]], name: str) -> list[float]:
    values = [each[name] for each in seen]
    return [min(values), max(values)]


def main() -> None:
    """Run it and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--rate", type=float, default=200.0)
    asked = parser.parse_args()
    json.dump(measured(asked.seconds, asked.rate), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
