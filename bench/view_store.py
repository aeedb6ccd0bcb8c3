"""A large trace store for the measurement of `view`: one real decision, kept many times at different moments."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path as File

from adaptive_middleware import Middleware, Request, best_of_n, optimal_stopping
from adaptive_middleware.call_ids import call_id_at
from adaptive_middleware.testing import ScriptedSampler, TableScorer, answer
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from adaptive_middleware.types import Path

RULES, MODELS = ("default", "code", "planner"), ("small", "large")
_STEP = "Step {}: what is known is put together, and one more number is worked out from it.\n\n"


def large_store(file: File, calls: int, *, now: float, days: float = 30.0) -> None:
    """Make a store of `calls` decided calls of the last `days` until `now`; every tenth is judged, every fiftieth degraded."""
    sink = TraceSink(TraceSettings(file, level="full"))
    drawn = [answer("".join(map(_STEP.format, range(6))) + one, tokens=120) for one in ("41", "40", "42")]
    strategy = best_of_n(optimal_stopping(0.9), score=True)
    request = Request("What is 6 times 7, and why? " * 10, model="small")
    Middleware(strategy, scorer=TableScorer(_scores), observers=[sink]).run(request, ScriptedSampler(drawn))
    sink.close()
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM calls").fetchone())
        connection.execute("DELETE FROM calls")
        marks = ", ".join(f":{name}" for name in row)
        connection.executemany(f"INSERT INTO calls VALUES ({marks})", _copies(row, calls, now, days))  # noqa: S608
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _scores(path: Path) -> Sequence[float]:
    return [0.97 if path.text.endswith("42") else 0.3] * len(path.steps)


def _copies(row: dict[str, object], calls: int, now: float, days: float) -> Iterator[dict[str, object]]:
    chance = random.Random(7)
    report = json.loads(str(row["details"]))
    for number in range(calls):
        at = now - days * 86_400 * (calls - number) / calls
        name, p = call_id_at(int(at * 1e9), chance.randbytes(10)), chance.uniform(0.5, 1.0)
        down = number % 50 == 0
        report["report"]["id"] = name
        report["report"]["degraded"] = ["scores rejected: ScorerError: no answer"] if down else []
        yield {
            **row,
            "id": name,
            "at": at,
            "p": p,
            "lower": p / 2,
            "degraded": int(down),
            "correct": int(chance.random() < p) if number % 10 == 0 else None,
            "judged_at": at + 60 if number % 10 == 0 else None,
            "details": json.dumps(report),
            **_various(chance),
        }


def _various(chance: random.Random) -> dict[str, object]:
    samples = chance.choice((1, 1, 1, 2, 2, 3, 4, 8))
    return {
        "rule": chance.choice(RULES),
        "model": chance.choice(MODELS),
        "samples": samples,
        "max_samples": 8,
        "tokens": 120 * samples,
        "fixed_tokens": 960,
        "usd": samples / 1000,
    }
