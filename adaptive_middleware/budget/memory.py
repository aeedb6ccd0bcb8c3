"""The store of one process: accounts in memory, which end with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from adaptive_middleware.budget.store import Ask, Balance, Grant, Line, Settlement, affordable, free


@dataclass(slots=True)
class MemoryStore:
    """Exact within one process, from any thread and task. Above `most` accounts, those past `expires` are forgotten.

    There is nothing to heal: holds die with the process that took them.
    """

    most: int = 10_000
    clock: Callable[[], float] = time.time
    waits: bool = field(default=False, init=False)
    shared: bool = field(default=False, init=False)
    _accounts: dict[str, Balance] = field(default_factory=dict, init=False)
    _expires: dict[str, float] = field(default_factory=dict, init=False)
    _holds: dict[str, tuple[Line, ...]] = field(default_factory=dict, init=False)
    _full: int = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._full = self.most

    def reserve(self, ask: Ask) -> Grant:
        """Take as many of the holds as all accounts have room for."""
        with self._lock:
            if ask.holds[0] in self._holds:
                return Grant(tuple(hold for hold in ask.holds if hold in self._holds))
            n, short = affordable(ask.lines, self._accounts, len(ask.holds))
            taken, before = ask.holds[:n], free(ask.lines, self._accounts)
            for line in ask.lines if n else ():
                if line.account not in self._accounts and len(self._accounts) >= self._full:
                    self._forget()
                known = self._accounts.get(line.account, _NOTHING)
                self._accounts[line.account] = Balance(known.settled, known.held + n * line.each)
                self._expires[line.account] = line.expires
            for hold in taken:
                self._holds[hold] = ask.lines
        return Grant(taken, short, before)

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Close holds. One that is closed already, or was never taken, is left alone."""
        with self._lock:
            for settlement in settlements:
                lines = self._holds.pop(settlement.hold, ())
                spent = settlement.spent or tuple(line.floor for line in lines)
                for line, amount in zip(lines, spent, strict=bool(lines)):
                    known = self._accounts[line.account]
                    self._accounts[line.account] = Balance(known.settled + amount, known.held - line.each)

    def balances(self, accounts: Sequence[str]) -> list[Balance]:
        """The balance of each account, in order; zero for an unknown one."""
        with self._lock:
            return [self._accounts.get(account, _NOTHING) for account in accounts]

    def accounts(self) -> dict[str, Balance]:
        """Every account that is remembered, with its balance."""
        with self._lock:
            return dict(self._accounts)

    def heal(self) -> int:
        """Nothing can be left behind here: 0."""
        return 0

    def _forget(self) -> None:
        """Drop accounts past their time that hold nothing; the next look is due at twice what is left."""
        now = self.clock()
        for key in [key for key, expires in self._expires.items() if expires < now]:
            if self._accounts[key].held == 0:
                del self._accounts[key], self._expires[key]
        self._full = max(self.most, 2 * len(self._accounts))


_NOTHING = Balance()
