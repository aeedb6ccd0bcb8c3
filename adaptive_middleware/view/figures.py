"""What the page shows of many calls: counts and sums of the latest ones, without their texts."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path as File

from adaptive_middleware.errors import TraceError
from adaptive_middleware.trace.schema import open_to_read

LATEST, LISTED = 5000, 50
DAY = 86_400
_COLUMNS = "id, at, seconds, rule, model, p, lower, samples, max_samples, tokens, fixed_tokens, usd, degraded, correct"


@dataclass(frozen=True, slots=True)
class Line:
    """A call in a list: its figures, and whether it is known to be right."""

    id: str
    at: float
    seconds: float
    rule: str
    model: str | None
    p: float | None
    lower: float | None
    samples: int
    max_samples: int
    tokens: int
    fixed_tokens: int
    usd: float | None
    degraded: int
    correct: int | None


@dataclass(frozen=True, slots=True)
class Today:
    """What was spent since midnight, UTC."""

    calls: int
    tokens: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose probability fell into one tenth: the mean of it, how many were right, of how many."""

    p: float
    right: int
    n: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The latest calls, the newest first, and how many there are in all."""

    total: int
    today: Today
    lines: tuple[Line, ...]

    @property
    def saved(self) -> float | None:
        """Share of completion tokens saved against always drawing the most samples; None without tokens."""
        fixed = sum(line.fixed_tokens for line in self.lines)
        return 1 - sum(line.tokens for line in self.lines) / fixed if fixed else None

    @property
    def degraded(self) -> int:
        """Calls that got less than they asked for."""
        return sum(line.degraded > 0 for line in self.lines)

    @property
    def samples(self) -> list[tuple[int, int]]:
        """How many calls got how many samples."""
        return sorted(Counter(line.samples for line in self.lines).items())

    @property
    def judged(self) -> list[Line]:
        """Calls with a probability of which it is known whether they were right."""
        return [line for line in self.lines if line.correct is not None and line.p is not None]

    @property
    def bins(self) -> list[Bin]:
        """Probabilities in tenths beside what came of them."""
        return calibration(self.judged)

    @property
    def drift(self) -> tuple[float, float] | None:
        """Mean probability minus share of right answers, in the older and in the newer half; None under 20 judged calls."""
        judged = self.judged
        if len(judged) < 20:
            return None
        half = len(judged) // 2
        return _gap(judged[half:]), _gap(judged[:half])


def calibration(judged: Sequence[Line]) -> list[Bin]:
    """Judged calls by tenths of their probability; empty tenths are left out."""
    tenths: dict[int, list[Line]] = {}
    for line in judged:
        tenths.setdefault(min(int((line.p or 0.0) * 10), 9), []).append(line)
    return [
        Bin(sum(line.p or 0.0 for line in of) / len(of), sum(line.correct or 0 for line in of), len(of))
        for _, of in sorted(tenths.items())
    ]


def _gap(lines: Sequence[Line]) -> float:
    return sum((line.p or 0.0) - (line.correct or 0) for line in lines) / len(lines)


def figures(file: File, now: float | None = None) -> Figures:
    """The figures of a store; raises `TraceError` where it cannot be read."""
    midnight = (time.time() if now is None else now) // DAY * DAY
    latest = f"SELECT {_COLUMNS} FROM calls ORDER BY at DESC, id DESC LIMIT {LATEST}"  # noqa: S608 - our own names
    today = "SELECT count(*), coalesce(sum(tokens), 0), sum(usd) FROM calls WHERE at >= ?"
    with closing(open_to_read(file)) as connection:
        try:
            (total,) = connection.execute("SELECT count(*) FROM calls").fetchone()
            spent = Today(*connection.execute(today, (midnight,)).fetchone())
            lines = tuple(Line(*row) for row in connection.execute(latest))
        except sqlite3.Error as error:
            message = f"{file}: the trace store cannot be read ({error})"
            raise TraceError(message) from error
    return Figures(total, spent, lines)
