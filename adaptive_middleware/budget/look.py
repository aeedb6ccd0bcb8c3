"""A look at what a shared store has counted, for somebody who only watches: it writes nothing and keeps nobody waiting."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from heapq import nsmallest
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar
from urllib.parse import quote

from adaptive_middleware.budget.owners import died, machine, owner
from adaptive_middleware.budget.sqlite import VERSION
from adaptive_middleware.budget.store import Balance
from adaptive_middleware.errors import BudgetUnavailable

T = TypeVar("T")
ACCOUNTS, CALLS = 1000, 50
"""The most accounts, and calls with something reserved, that one look brings back."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """What one call has reserved: for how many answers, and how much of each account.

    `ends_in` is in seconds until the first lease runs out (None: this machine cannot tell), `process` the number of the process that took it, where the
    store knows it, and `gone` whether that process has certainly ended.
    """

    call: str
    answers: int
    held: Mapping[str, int]
    ends_in: float | None = None
    process: str | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """Accounts and reservations at one moment: `calls` is of how many calls there are any, `reserved` has the first of them.

    `more` is how many of the accounts that were asked for are not among `accounts`.
    """

    accounts: Mapping[str, Balance] = field(default_factory=dict)
    more: int = 0
    reserved: tuple[Reserved, ...] = ()
    calls: int = 0


Wanted: TypeAlias = Callable[[str], bool]
"""Whether the account of a key is wanted."""


class Looking(Protocol):
    """Looks at a store."""

    def look(self, wanted: Wanted) -> Look:
        """What it has counted in the accounts that are wanted; may wait for a disk or a network, or raise `BudgetUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class SqliteLook:
    """Looks at the file of a `SqliteStore`, read-only; a file that is not there yet has counted nothing."""

    path: Path
    clock: Callable[[], float] = time.monotonic

    def look(self, wanted: Wanted) -> Look:
        """What the file says now; raises `BudgetUnavailable` where it cannot be read, or is of a newer version."""
        if not self.path.exists():
            return Look()
        try:
            with closing(sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro", uri=True)) as db:
                db.execute("BEGIN")
                return self._seen(db, wanted)
        except sqlite3.Error as error:
            message = f"the budget file {os.fspath(self.path)!r} cannot be read: {error}; check that this user may read and write it"
            raise BudgetUnavailable(message) from error

    def _seen(self, db: sqlite3.Connection, wanted: Wanted) -> Look:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            message = f"the budget file {os.fspath(self.path)!r} was written by a newer version; update adaptive-middleware"
            raise BudgetUnavailable(message)
        if version == 0:
            return Look()
        rows = db.execute("SELECT key, settled, held FROM accounts ORDER BY held DESC, expires DESC, key")
        accounts, more = first((key, Balance(settled, held)) for key, settled, held in rows if wanted(key))
        calls = list(self._reserved(db.execute(_OPEN)))
        return Look(accounts, more, tuple(nsmallest(CALLS, calls, key=_end)), len(calls))

    def _reserved(self, rows: Iterable[tuple[str, str, int, str, float]]) -> Iterator[Reserved]:
        """Calls from lines of holds, in the order of their ids."""
        here = machine(owner())
        for call, of in gathered((one[0], one) for one in rows).items():
            _, _, _, name, _ = of[0]
            lease = min(one[4] for one in of)
            yield Reserved(
                call,
                len({one[0] for one in of}),
                summed((account, held) for _, account, held, _, _ in of),
                lease - self.clock() if here and machine(name) == here else None,
                name.split(":")[2],
                died(name),
            )


def first(found: Iterable[tuple[str, Balance]]) -> tuple[dict[str, Balance], int]:
    """The first accounts, and how many more there are."""
    every = list(found)
    return dict(every[:ACCOUNTS]), max(len(every) - ACCOUNTS, 0)


def gathered(holds: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    """Holds by their call.

    >>> gathered([("a.0", 1), ("a.1", 2), ("b.0", 3)])
    {'a': [1, 2], 'b': [3]}
    """
    found: dict[str, list[T]] = {}
    for hold, value in holds:
        found.setdefault(hold.rpartition(".")[0] or hold, []).append(value)
    return found


def summed(amounts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Amounts of the same account added up."""
    found: dict[str, int] = {}
    for account, amount in amounts:
        found[account] = found.get(account, 0) + amount
    return found


def _end(call: Reserved) -> float:
    return float("inf") if call.ends_in is None else call.ends_in


_OPEN = "SELECT id, account, held, owner, lease FROM holds WHERE healed = 0 ORDER BY id, line LIMIT 100000"
