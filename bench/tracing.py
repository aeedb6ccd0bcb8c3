"""What keeping calls costs: microseconds in the path of a call, calls a second that a store takes, and `explain` of one among many.

Run as `python -m bench.tracing`, or with `--json`.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path as File

from adaptive_middleware import Middleware, Request, best_of_n, optimal_stopping
from adaptive_middleware.call_ids import call_id
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.trace.reading import SHORT
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from bench.overhead import ROUNDS, Case, Instant, medians

CALLS = 5000
STORED = 100_000
"""Calls in the store that `explain` reads."""


async def in_the_path(folder: File) -> dict[str, float]:
    """Microseconds of a passed-through call that nobody observes, and of one that a store keeps."""
    sampler, request = Instant(), Request("2 + 2?")
    sink = TraceSink(TraceSettings(folder / "path.db"))
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


def explaining(folder: File) -> dict[str, float]:
    """Milliseconds from the start of a process to its end: `explain` of one of `STORED` calls, by the end of its id.

    Beside it what typer alone takes to be imported, and what Python takes to begin.
    """
    store = folder / "explained.db"
    sink = TraceSink(TraceSettings(store))
    strategy = best_of_n(optimal_stopping(0.9), score=False)
    Middleware(strategy, observers=[sink]).run(Request("2 + 2?"), ScriptedSampler(["4"]))
    sink.close()
    wanted = multiplied(store)
    command = "import sys; from adaptive_middleware.cli import main; main()"
    cases = {
        "explain_ms": ["-c", command, "explain", wanted[-SHORT:], "--store", str(store)],
        "typer_ms": ["-c", "import typer, typer._adapters"],
        "python_ms": ["-c", "pass"],
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, arguments in cases.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True)  # noqa: S603
            times[name].append((time.perf_counter() - began) * 1e3)
    return {name: round(statistics.median(each), 1) for name, each in times.items()}


def multiplied(store: File) -> str:
    """The one call of a store written down `STORED` times, a second apart; returns the id of the one in the middle."""
    with closing(sqlite3.connect(store)) as connection:
        names = [name for _, name, *_ in connection.execute("PRAGMA table_info(calls)")]
        (row,) = connection.execute("SELECT * FROM calls")
        call, ids = dict(zip(names, row, strict=True)), [call_id() for _ in range(STORED - 1)]
        values = ", ".join(f":{name}" for name in names)
        rows = ({**call, "id": each, "at": call["at"] - after} for after, each in enumerate(ids, 1))
        connection.executemany(f"INSERT INTO calls VALUES ({values})", rows)  # noqa: S608 - our own columns
        connection.commit()
    return ids[STORED // 2]


def main() -> None:
    """`--json`: one object; otherwise one figure on a line."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            **asyncio.run(in_the_path(File(folder))),
            "written_per_second": written_per_second(File(folder)),
            **explaining(File(folder)),
        }
    if "--json" in sys.argv[1:]:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    sys.stdout.writelines(f"{name:22}{value:>9}\n" for name, value in figures.items())


if __name__ == "__main__":
    main()
