"""The store of one machine: accounts in one SQLite file, exact for every process that uses it."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike

from adaptive_middleware.budget.owners import died, machine, owner
from adaptive_middleware.budget.store import Ask, Balance, Grant, Settlement, affordable, free
from adaptive_middleware.errors import BudgetUnavailable
from adaptive_middleware.write_ahead import write_ahead

VERSION = 1
HEALED_KEPT = 86_400.0
"""For how many seconds a late settlement of a healed hold still counts."""

SCHEMA = """
CREATE TABLE accounts (key TEXT PRIMARY KEY, settled INTEGER NOT NULL, held INTEGER NOT NULL CHECK (held >= 0),
  expires REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE holds (id TEXT, line INTEGER, account TEXT NOT NULL, held INTEGER NOT NULL, floor INTEGER NOT NULL,
  counted INTEGER NOT NULL, owner TEXT NOT NULL, lease REAL NOT NULL, healed INTEGER NOT NULL,
  PRIMARY KEY (id, line)) WITHOUT ROWID;
"""


class SqliteStore:
    """Exact for all processes of one machine; not for a file on a network.

    A commit outlives the process (WAL, synchronous NORMAL), but the last ones may be lost with the machine's power.
    Leases are measured by the monotonic clock of the boot, so that a wall clock that jumps ends none. Opened at first
    use, again in a forked process; `busy` is how many seconds it waits for other processes.
    """

    waits = True
    shared = True

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        busy: float = 5.0,
        name: str | None = None,
        died: Callable[[str], bool] = died,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path, self.busy, self._name, self._died, self._clock = path, busy, name, died, clock
        self._lock = threading.Lock()
        self._opened: tuple[int, sqlite3.Connection] | None = None
        self._looked = float("-inf")

    def reserve(self, ask: Ask) -> Grant:
        """Take as many of the holds as all accounts have room for; what died is healed before it is refused one."""
        with self._changing() as db:
            if db.execute(_HOLD, ask.holds[:1]).fetchone():
                return Grant(tuple(hold for hold in ask.holds if db.execute(_HOLD, (hold,)).fetchone()))
            n, grant = self._affordable(db, ask)
            if n < len(ask.holds) and self._clock() - self._looked >= 1.0 and self._healed(db):
                n, grant = self._affordable(db, ask)
            if n:
                self._take(db, ask, n)
        return grant

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Close holds. One that is closed already, or was never taken, is left alone."""
        with self._changing() as db:
            for settlement in settlements:
                rows = db.execute(_HOLD, (settlement.hold,)).fetchall()
                spent = settlement.spent or tuple(floor for _, _, floor, _ in rows)
                for (account, held, _, counted), amount in zip(rows, spent, strict=bool(rows)):
                    db.execute(_MOVE, (amount - counted, held, account))
                if rows:
                    db.execute("DELETE FROM holds WHERE id = ?", (settlement.hold,))

    def balances(self, accounts: Sequence[str]) -> list[Balance]:
        """The balance of each account, in order; zero for an unknown one."""
        with self._changing() as db:
            return [_balance(db, account) for account in accounts]

    def accounts(self) -> dict[str, Balance]:
        """Every account that is remembered, with its balance."""
        with self._changing() as db:
            rows = db.execute("SELECT key, settled, held FROM accounts ORDER BY key").fetchall()
        return {key: Balance(settled, held) for key, settled, held in rows}

    def heal(self) -> int:
        """Settle to their floors the holds whose process died or whose lease ran out; how many these were."""
        with self._changing() as db:
            return self._healed(db)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._opened is not None:
                self._opened[1].close()
            self._opened = None

    def _affordable(self, db: sqlite3.Connection, ask: Ask) -> tuple[int, Grant]:
        balances = {line.account: _balance(db, line.account) for line in ask.lines}
        n, short = affordable(ask.lines, balances, len(ask.holds))
        return n, Grant(ask.holds[:n], short, free(ask.lines, balances))

    def _take(self, db: sqlite3.Connection, ask: Ask, n: int) -> None:
        lease, name = self._clock() + ask.lease, self._name or owner()
        for i, line in enumerate(ask.lines):
            db.execute(_HELD, (line.account, n * line.each, line.expires))
            rows = [(hold, i, line.account, line.each, line.floor, name, lease) for hold in ask.holds[:n]]
            db.executemany("INSERT INTO holds VALUES (?, ?, ?, ?, ?, 0, ?, ?, 0)", rows)

    def _healed(self, db: sqlite3.Connection) -> int:
        now, healed = self._clock(), 0
        self._looked = now
        mine = machine(self._name or owner())
        for name, least in db.execute(_OWNERS).fetchall():
            gone = self._died(name)
            if gone or (machine(name) == mine and least < now):
                rows = db.execute(_LEFT, (name, float("inf") if gone else now)).fetchall()
                for hold, line, account, held, floor in rows:
                    db.execute(_MOVE, (floor, held, account))
                    db.execute(_HEAL, (now + HEALED_KEPT, hold, line))
                healed += len({hold for hold, *_ in rows})
        return healed

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that sees and changes the newest state; nothing of it is kept when it fails."""
        with self._lock:
            try:
                db = self._connection()
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
            except sqlite3.Error as error:
                raise _unavailable(self.path, error) from error

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None or self._opened[0] != os.getpid():
            db = sqlite3.connect(self.path, self.busy, isolation_level=None, check_same_thread=False)
            _prepare(db, self.path, self._clock(), self.busy)
            self._opened = (os.getpid(), db)
        return self._opened[1]


def _prepare(db: sqlite3.Connection, path: str | PathLike[str], now: float, busy: float) -> None:
    """Make the tables of a new file, refuse those of a newer version, forget what is long past."""
    try:
        write_ahead(db, busy)
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("BEGIN IMMEDIATE")
        _migrate(db, path)
        db.execute("DELETE FROM accounts WHERE held = 0 AND expires < ?", (time.time(),))
        db.execute("DELETE FROM holds WHERE healed = 1 AND lease < ?", (now,))
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise


def _migrate(db: sqlite3.Connection, path: str | PathLike[str]) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        message = f"{os.fspath(path)!r} was written by a newer version (schema {version}, known: {VERSION})"
        raise BudgetUnavailable(message + "; update adaptive-middleware, or name another file")
    if version == 0:
        for statement in SCHEMA.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version={VERSION}")


def _balance(db: sqlite3.Connection, account: str) -> Balance:
    row = db.execute("SELECT settled, held FROM accounts WHERE key = ?", (account,)).fetchone()
    return Balance() if row is None else Balance(*row)


def _unavailable(path: str | PathLike[str], error: sqlite3.Error) -> BudgetUnavailable:
    return BudgetUnavailable(
        f"the budget file {os.fspath(path)!r} cannot be used: {error}; check that it is writable and its disk not full"
    )


_HOLD = "SELECT account, held, floor, counted FROM holds WHERE id = ? ORDER BY line"
_MOVE = "UPDATE accounts SET settled = settled + ?, held = held - ? WHERE key = ?"
_HELD = (
    "INSERT INTO accounts VALUES (?1, 0, ?2, ?3) "
    "ON CONFLICT (key) DO UPDATE SET held = held + ?2, expires = max(expires, ?3)"
)
_OWNERS = "SELECT owner, min(lease) FROM holds WHERE healed = 0 GROUP BY owner"
_LEFT = "SELECT id, line, account, held, floor FROM holds WHERE healed = 0 AND owner = ? AND lease < ?"
_HEAL = "UPDATE holds SET counted = floor, held = 0, healed = 1, lease = ? WHERE id = ? AND line = ?"
