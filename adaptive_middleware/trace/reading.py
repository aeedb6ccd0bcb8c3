"""Calls read back from a store: one by its id, or those that a search finds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path as File
from typing import Any, Literal, TypeAlias

from adaptive_middleware.errors import TraceError, UnknownCall
from adaptive_middleware.trace.schema import open_to_read

Verdict: TypeAlias = Literal["right", "wrong", "unknown"]
SHORT = 12
"""Characters at the end of an id that name a call among those of a store; all of them random."""
_WHOLE = 36
_VERDICTS = {"right": "correct = 1", "wrong": "correct = 0", "unknown": "correct IS NULL"}


@dataclass(frozen=True, slots=True)
class Kept:
    """A call as the store has it: columns, and `details` (report, prior, samples; see docs/traces.md).

    `at` is in seconds since 1970. `correct` is what feedback said of the returned answer, `unanswered` why there is none: `failed: CODE` or
    `cancelled`.
    """

    id: str
    at: float
    seconds: float
    rule: str
    strategy: str
    model: str | None
    call_site: str | None
    run_id: str | None
    p: float | None
    lower: float | None
    samples: int
    max_samples: int
    tokens: int
    prm_tokens: int
    fixed_tokens: int
    usd: float | None
    degraded: int
    verified: bool | None
    level: str
    question: str | None
    correct: bool | None
    unanswered: str | None
    details: dict[str, Any] = field(repr=False)

    @property
    def report(self) -> dict[str, Any] | None:
        """The report of the call; None where it was only passed through, or not answered."""
        found: dict[str, Any] | None = self.details.get("report")
        return found

    @property
    def verdict(self) -> Verdict:
        """What is known of the returned answer, in a word."""
        if self.correct is None:
            return "unknown"
        return "right" if self.correct else "wrong"

    @property
    def came_of_it(self) -> str:
        """What came of the call, in a word: what is known of its answer, or why it has none."""
        return self.verdict if self.unanswered is None else self.unanswered.removeprefix("failed: ")

    def says(self, text: str) -> bool:
        """Whether question or answers hold a text, in any case of letters."""
        samples = [*self.details["samples"], *self.details["dropped"]]
        texts = ["".join(sample["steps"] or ()) for sample in samples]
        texts += [self.question or "", self.details["said"] or ""]
        return any(text.casefold() in each.casefold() for each in texts)


@dataclass(frozen=True, slots=True)
class Search:
    """Which calls are wanted; what is not given does not matter.

    `text` is looked for in question and answers, in any case of letters; `since` and `until` are seconds since 1970.
    `degraded` wants calls that got less than they asked for, `failed` those that ended without an answer.
    """

    text: str | None = None
    model: str | None = None
    rule: str | None = None
    verdict: Verdict | None = None
    since: float | None = None
    until: float | None = None
    degraded: bool = False
    failed: bool = False


def one(file: File, call_id: str) -> Kept:
    """The call of an id, of the end of one (at least four characters), or of `last`.

    Raises `UnknownCall` for an id that is not there or fits several calls, `TraceError` for a store that cannot be read.
    """
    with closing(open_to_read(file)) as connection:
        whole = found_id(connection, call_id, file)
        row = connection.execute("SELECT * FROM calls WHERE id = ?", (whole,)).fetchone()
        return kept_of(row, file)


def found(file: File, search: Search, most: int | None = None) -> Iterator[Kept]:
    """The calls that a search finds, the latest first, at most `most`; raises `TraceError` as `one` does."""
    where, values = selecting(search)
    query = f"SELECT * FROM calls{where} ORDER BY at DESC, id DESC"  # noqa: S608 - fixed conditions
    with closing(open_to_read(file)) as connection:
        try:
            every = (kept_of(row, file) for row in connection.execute(query, values))
            yield from islice((kept for kept in every if search.text is None or kept.says(search.text)), most)
        except sqlite3.Error as error:
            raise _unreadable(file, error) from error


def found_id(connection: sqlite3.Connection, call_id: str, file: File) -> str:
    """The whole id of a call in an open store; raises `UnknownCall` as `one` does."""
    try:
        ids = [row[0] for row in _matching(connection, call_id)]
    except sqlite3.Error as error:
        raise _unreadable(file, error) from error
    if len(ids) == 1:
        return str(ids[0])
    if ids:
        message = f"{call_id!r} is the end of several ids ({', '.join(ids)}); give more of it"
        raise UnknownCall(message)
    message = f"{file}: no call {call_id!r}; `adaptive-middleware logs` lists the calls that are kept"
    raise UnknownCall(message)


def _matching(connection: sqlite3.Connection, call_id: str) -> list[Any]:
    if call_id == "last":
        return connection.execute("SELECT id FROM calls ORDER BY at DESC, id DESC LIMIT 1").fetchall()
    if len(call_id) < _WHOLE:
        if len(call_id) < 4:
            return []
        ends = "SELECT id FROM calls WHERE substr(id, ?) = ? LIMIT 3"
        return connection.execute(ends, (-len(call_id), call_id.lower())).fetchall()
    return connection.execute("SELECT id FROM calls WHERE id = ?", (call_id.lower(),)).fetchall()


def selecting(search: Search) -> tuple[str, list[object]]:
    """The WHERE of a search (empty where nothing is wanted), and its values.

    It lets through all calls that are wanted; whether a text is really said, `Kept.says`.
    """
    wanted, values = _conditions(search)
    return f" WHERE {' AND '.join(wanted)}" if wanted else "", values


def _conditions(search: Search) -> tuple[list[str], list[object]]:
    pairs: list[tuple[str, object]] = [
        ("model = ?", search.model),
        ("rule = ?", search.rule),
        ("at >= ?", search.since),
        ("at < ?", search.until),
    ]
    wanted = [(condition, value) for condition, value in pairs if value is not None]
    conditions, values = [condition for condition, _ in wanted], [value for _, value in wanted]
    if search.text is not None and search.text.isascii():  # SQLite folds the case of no other letters
        conditions.append(r"(question LIKE ? ESCAPE '\' OR details LIKE ? ESCAPE '\')")
        values += [_pattern(search.text), _pattern(json.dumps(search.text)[1:-1])]
    if search.verdict is not None:
        conditions.append(_VERDICTS[search.verdict])
    if search.degraded:
        conditions.append("degraded > 0")
    if search.failed:
        conditions.append("unanswered IS NOT NULL")
    return conditions, values


def _pattern(text: str) -> str:
    escaped = "".join(f"\\{letter}" if letter in "%_\\" else letter for letter in text)
    return f"%{escaped}%"


def kept_of(row: sqlite3.Row, file: File) -> Kept:
    """The call in a row of all columns; raises `TraceError` where what is kept of it is damaged."""
    values = {name: row[name] for name in row.keys() if name != "judged_at"}  # noqa: SIM118 - a row iterates over values
    try:
        values["details"] = json.loads(values["details"])
    except (ValueError, RecursionError) as error:
        message = f"{file}: what is kept of call {values['id']} is damaged ({error})"
        raise TraceError(message) from error
    for name in ("correct", "verified"):
        values[name] = None if values[name] is None else bool(values[name])
    return Kept(**values)


def _unreadable(file: File, error: sqlite3.Error) -> TraceError:
    return TraceError(f"{file}: the trace store cannot be read ({error})")
