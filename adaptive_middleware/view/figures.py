"""What the page shows of many calls: counts and sums of the latest ones, without their texts."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path as File

from adaptive_middleware.errors import TraceError
from adaptive_middleware.trace.reading import Search, kept_of, selecting
from adaptive_middleware.trace.schema import open_to_read
from adaptive_middleware.view.recent import NOTHING, Recent, recent

LATEST, LISTED, JUDGED = 5000, 50, 20_000
"""Calls whose figures are shown, that are listed, and among which judged ones are looked for."""
DAY = 86_400
EVERY = Search()
NAMES = 100


@dataclass(frozen=True, slots=True)
class Line:
    """A call in a list: its figures, and whether it is known to be right, or why it has no answer."""

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
    level: str = "redacted"
    unanswered: str | None = None


_COLUMNS = tuple(each.name for each in fields(Line))


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
class Judged:
    """A call with a probability of which it is known whether it was right."""

    at: float
    p: float
    correct: int


@dataclass(frozen=True, slots=True)
class Names:
    """The policies and models of the latest calls, whatever was searched for."""

    rules: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


NAMELESS = Names()


@dataclass(frozen=True, slots=True)
class Figures:
    """The latest calls that a search finds, the newest first; those of them that are judged; how many calls there are in all.

    `today`, `names` and `recent` are of all calls, whatever was searched for.
    """

    total: int
    today: Today
    lines: tuple[Line, ...]
    judged: tuple[Judged, ...] = ()
    names: Names = NAMELESS
    recent: Recent = NOTHING
    search: Search = EVERY

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


def calibration(judged: Sequence[Judged]) -> list[Bin]:
    """Judged calls by tenths of their probability; empty tenths are left out."""
    tenths: dict[int, list[Judged]] = {}
    for one in judged:
        tenths.setdefault(min(int(one.p * 10), 9), []).append(one)
    return [
        Bin(sum(one.p for one in of) / len(of), sum(one.correct for one in of), len(of))
        for _, of in sorted(tenths.items())
    ]


def _gap(judged: Sequence[Judged]) -> float:
    return sum(one.p - one.correct for one in judged) / len(judged)


def figures(file: File, now: float | None = None, search: Search = EVERY) -> Figures:
    """The figures of a store; raises `TraceError` where it cannot be read.

    A text is looked for in the latest `LATEST` calls that the rest of the search finds.
    """
    midnight = (time.time() if now is None else now) // DAY * DAY
    today = "SELECT count(*), coalesce(sum(tokens), 0), sum(usd) FROM calls WHERE at >= ?"
    with closing(open_to_read(file)) as connection:
        try:
            connection.execute("BEGIN")  # one moment of the store, whatever is written meanwhile
            (total,) = connection.execute("SELECT count(*) FROM calls").fetchone()
            spent = Today(*connection.execute(today, (midnight,)).fetchone())
            lines = tuple(_lines(connection, search, file))
            judged = tuple(_judged(connection, search, lines))
            names = _names(connection, lines if search == EVERY else None)
            return Figures(total, spent, lines, judged, names, recent(connection), search)
        except sqlite3.Error as error:
            message = f"{file}: the trace store cannot be read ({error})"
            raise TraceError(message) from error


def _lines(connection: sqlite3.Connection, search: Search, file: File) -> Iterator[Line]:
    where, values = selecting(replace(search, text=None))
    columns = ", ".join(_COLUMNS) if search.text is None else "*"
    latest = f"SELECT {columns} FROM calls{where} ORDER BY at DESC, id DESC LIMIT {LATEST}"  # noqa: S608 - our own names
    if search.text is None:
        yield from (Line(*row) for row in connection.execute(latest, values))
        return
    said, texts = selecting(Search(text=search.text))
    for row in connection.execute(f"SELECT * FROM ({latest}){said}", [*values, *texts]):  # noqa: S608 - as above
        if kept_of(row, file).says(search.text):
            yield Line(*(row[name] for name in _COLUMNS))


def _judged(connection: sqlite3.Connection, search: Search, lines: Sequence[Line]) -> Iterator[Judged]:
    if search.text is not None:
        yield from (
            Judged(line.at, line.p, line.correct)
            for line in lines
            if line.p is not None and line.correct is not None
        )
        return
    where, values = selecting(search)
    latest = f"SELECT at, p, correct FROM calls{where} ORDER BY at DESC, id DESC LIMIT {JUDGED}"  # noqa: S608 - fixed conditions
    known = f"SELECT * FROM ({latest}) WHERE correct IS NOT NULL AND p IS NOT NULL"  # noqa: S608 - as above
    yield from (Judged(*row) for row in connection.execute(known, values))


def _names(connection: sqlite3.Connection, every: Sequence[Line] | None) -> Names:
    """The names in the latest calls; `every` are these, where they have been read."""
    if every is not None:
        return _named((line.rule, line.model) for line in every)
    latest = f"SELECT rule, model FROM calls ORDER BY at DESC LIMIT {LATEST}"  # noqa: S608 - a number
    rows = connection.execute(f"SELECT DISTINCT rule, model FROM ({latest})")  # noqa: S608 - as above
    return _named((row["rule"], row["model"]) for row in rows)


def _named(pairs: Iterable[tuple[str, str | None]]) -> Names:
    rules, models = set(), set()
    for rule, model in pairs:
        rules.add(rule)
        if model is not None:
            models.add(model)
    return Names(tuple(sorted(rules)[:NAMES]), tuple(sorted(models)[:NAMES]))
