"""What keeping calls costs: microseconds in the path of a call, and calls a second that a store takes.

Run as `python -m bench.tracing`, or with `--json`.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path as File

from adaptive_middleware import Middleware, Request
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from bench.overhead import Case, Instant, medians

CALLS = 5000


async def in_the_path(folder: File) -> dict[str, float]:
    """Microseconds of a passed-through call that nobody observes, and of one that a store keeps."""
    sampler, request = Instant(), Request("2 + 2?")
    sink = TraceSink(TraceSettings(folder / "path.db", queue=100))
    plain, observed = Middleware(), Middleware(observers=[sink])
    cases: dict[str, Case] = {
        "plain_us": lambda: plain.arun(request, sampler),
        "kept_us": lambda: observed.arun(request, sampler),
    }
    found = await medians(cases, repeats=300)
    sink.close()
    return {name: round(value, 2) for name, value in found.items()}


def written_per_second(folder: File) -> float:
    """Calls a second that reach the file, all of them waited for: the median of three rounds."""
    rates = []
    for number in range(3):
        sink = TraceSink(TraceSettings(folder / f"rate{number}.db", queue=CALLS))
        middleware, request = Middleware(observers=[sink]), Request("What is 2 + 2? " * 20)
        sampler = Instant()
        began = time.perf_counter()
        asyncio.run(_calls(middleware, request, sampler))
        sink.flush(60)
        rates.append(sink.written / (time.perf_counter() - began))
        sink.close()
    return round(statistics.median(rates))


async def _calls(middleware: Middleware, request: Request, sampler: Instant) -> None:
    for _ in range(CALLS):
        await middleware.arun(request, sampler)


def main() -> None:
    """`--json`: one object; otherwise one figure on a line."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            **asyncio.run(in_the_path(File(folder))),
            "written_per_second": written_per_second(File(folder)),
        }
    if "--json" in sys.argv[1:]:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    sys.stdout.writelines(f"{name:22}{value:>9}\n" for name, value in figures.items())


if __name__ == "__main__":
    main()
