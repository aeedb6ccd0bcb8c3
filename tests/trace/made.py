"""Calls and stores for the tests of traces."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path as File
from typing import Any

from adaptive_middleware import Middleware, Request, best_of_n, fixed, optimal_stopping
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.ports import Verifier
from adaptive_middleware.testing import ScriptedSampler, TableScorer, answer
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from adaptive_middleware.types import Estimate, Outcome, Path, StepScores

SUM = Request("What is 2 + 2?", model="small", call_site="tests", run_id="run-1", tags=frozenset({"sums"}))
SCORES = {"": 0.4, "5": 0.3, "4": 0.97}


def judged(path: Path) -> list[float]:
    return [SCORES.get(path.text, 0.5)] * max(len(path.steps), 1)


def calibrate(path: Path, scores: StepScores) -> Estimate:
    mean = uncalibrated(path, scores).mean
    return Estimate(mean, mean / 2, (1 + mean) / 2, ((0.1, mean / 2), (0.5, mean), (0.9, (1 + mean) / 2)))


@contextmanager
def kept(
    file: File, strategy: Any = None, verifier: Verifier | None = None, **settings: Any
) -> Iterator[tuple[Middleware, TraceSink]]:
    """A middleware that keeps its calls in `file`; all of them are written when the block ends."""
    sink = TraceSink(TraceSettings(file, **settings))
    chosen = strategy or best_of_n(optimal_stopping(0.9), calibrate=calibrate)
    try:
        yield Middleware(chosen, scorer=TableScorer(judged), verifier=verifier, observers=[sink]), sink
        sink.flush()
    finally:
        sink.close()


def asked(
    file: File, answers: Sequence[str | Path] = ("5", "4"), request: Request = SUM, **keys: Any
) -> Outcome:
    """One call, kept in `file`."""
    with kept(file, **keys) as (middleware, _):
        return middleware.run(request, ScriptedSampler(list(answers)))


def plain_calls(file: File, n: int, **settings: Any) -> list[str]:
    """`n` calls that were only passed through, kept in `file`; their ids in order."""
    with kept(file, **settings) as (_, sink):
        middleware = Middleware(observers=[sink])
        outcomes = [middleware.run(SUM, ScriptedSampler([answer("4", tokens=7)])) for _ in range(n)]
    return [str(outcome.id) for outcome in outcomes]


def everything(file: File) -> list[dict[str, Any]]:
    """All rows as they are in the file."""
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM calls ORDER BY at, id")]


THREE = best_of_n(fixed(3), calibrate=calibrate)


def call(middleware: Middleware, n: int = 1) -> None:
    """`n` calls that are answered."""
    for _ in range(n):
        assert middleware.run(SUM, ScriptedSampler(["4"])).chosen.text == "4"
