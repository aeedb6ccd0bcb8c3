"""What the middleware itself costs, side by side in one run: ratios of medians, models of zero latency.

Run as `python -m bench.overhead`, or with `--json`; `make bench` writes the same numbers to `bench/results.json`.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from tenacity import AsyncRetrying, stop_after_attempt

from adaptive_middleware import Middleware, Request, best_of_n, fixed
from adaptive_middleware.testing import answer
from adaptive_middleware.types import Path

ROUNDS = 9
Case = Callable[[], Awaitable[object]]


class Instant:
    """A sampler of zero latency: answers in the order asked, one task per sample."""

    path = answer("The answer is 4.")

    async def one(self) -> Path:
        """The bare model call."""
        return self.path

    async def asample(self, request: Request, n: int) -> Sequence[Path]:  # noqa: ARG002 - the port's
        """The bare call, or a gather of bare calls."""
        return [self.path] if n == 1 else await asyncio.gather(*(self.one() for _ in range(n)))


async def medians(cases: dict[str, Case], repeats: int) -> dict[str, float]:
    """Microseconds per call of each case: the median over rounds in which the cases alternate."""
    rounds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, case in cases.items():
            started = time.perf_counter()
            for _ in range(repeats):
                await case()
            rounds[name].append((time.perf_counter() - started) / repeats * 1e6)
    return {name: statistics.median(values) for name, values in rounds.items()}


async def core() -> dict[str, float]:
    """A passed-through call against a bare one and one in tenacity; best-of-16 against a bare gather."""
    sampler, request = Instant(), Request("2 + 2?")
    plain, sixteen = Middleware(), Middleware(best_of_n(fixed(16), score=False))

    async def with_tenacity() -> object:
        return await AsyncRetrying(stop=stop_after_attempt(3))(sampler.one)

    async def gathered() -> object:
        return await asyncio.gather(*(sampler.one() for _ in range(16)))

    cases: dict[str, Case] = {
        "tenacity": with_tenacity,
        "pass_through": lambda: plain.arun(request, sampler),
        "gather_16": gathered,
        "best_of_16": lambda: sixteen.arun(request, sampler),
    }
    return await medians(cases, repeats=300)


async def chat_model() -> dict[str, float]:
    """`AdaptiveChatModel.ainvoke` at N=1 against the bare model's `ainvoke`."""
    from bench.minimal_chat import Minimal  # noqa: PLC0415 - only this case needs langchain-core
    from langchain_adaptive import AdaptiveChatModel  # noqa: PLC0415

    bare = Minimal()
    wrapped = AdaptiveChatModel(inner=bare)
    cases: dict[str, Case] = {
        "bare": lambda: bare.ainvoke("2 + 2?"),
        "wrapped": lambda: wrapped.ainvoke("2 + 2?"),
    }
    return await medians(cases, repeats=100)


def import_ms() -> float:
    """Milliseconds that importing a `Middleware` adds to a bare interpreter, median of nine."""
    clock = "import time; t = time.perf_counter(); {}; print((time.perf_counter() - t) * 1000)"
    command = [sys.executable, "-c", clock.format("from adaptive_middleware import Middleware")]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(ROUNDS)]  # noqa: S603
    return statistics.median(float(run.stdout) for run in runs)


def wrapped() -> dict[str, float]:
    """What each way of wrapping adds: the agent middleware, the transport, the proxy."""
    from bench.agents import agents  # noqa: PLC0415 - these two build on this module
    from bench.wire import wire  # noqa: PLC0415

    figures = {**asyncio.run(agents()), **asyncio.run(wire())}
    return {name: round(value, 3) for name, value in figures.items()}


def overhead() -> dict[str, object]:
    """The documented `overhead`, `wrapping` and `import_ms` entries of `bench/results.json`."""
    inside, chat = asyncio.run(core()), asyncio.run(chat_model())
    ratios = {
        "core_pass_through_vs_tenacity": inside["pass_through"] / inside["tenacity"],
        "chat_model_vs_bare": chat["wrapped"] / chat["bare"],
        "best_of_16_vs_gather": inside["best_of_16"] / inside["gather_16"],
    }
    return {
        "overhead": {name: round(value, 3) for name, value in ratios.items()},
        "overhead_us": {name: round(value, 1) for name, value in {**inside, **chat}.items()},
        "wrapping": wrapped(),
        "import_ms": round(import_ms(), 1),
    }


def main() -> None:
    """`--json`: what wrapping adds, on the top level beside the rest; otherwise one figure on a line."""
    found = overhead()
    wrapping = found.pop("wrapping")
    figures = {**wrapping, **found}  # type: ignore[dict-item]
    if "--json" in sys.argv[1:]:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
        return
    flat = {**wrapping, **found["overhead"], "import_ms": found["import_ms"]}  # type: ignore[dict-item]
    sys.stdout.writelines(f"{name:34}{value:>9}\n" for name, value in flat.items())


if __name__ == "__main__":
    main()
