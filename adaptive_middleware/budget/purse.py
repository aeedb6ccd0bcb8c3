"""The purse of one call: which accounts it is counted in, what it holds of them, and what it has spent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from adaptive_middleware.budget.amounts import Amounts
from adaptive_middleware.budget.caps import Cap, Subject, account, private
from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.budget.memory import MemoryStore
from adaptive_middleware.budget.store import Ask, Grant, Line, Settlement
from adaptive_middleware.spent import Spent


@dataclass(frozen=True, slots=True)
class Wish:
    """Holds that a call wants, with what each takes by cap: of accounts of its own, and of those that calls share."""

    holds: tuple[str, ...]
    own: tuple[tuple[Cap, Line], ...]
    shared: tuple[tuple[Cap, Line], ...]
    lease: float

    def ask(self, *, shared: bool, holds: Sequence[str]) -> Ask:
        """The wish for `holds`, as one store takes it."""
        return Ask(tuple(holds), tuple(line for _, line in (self.shared if shared else self.own)), self.lease)

    def cap(self, key: str) -> Cap:
        """The cap that counts in an account."""
        return next(cap for cap, line in (*self.own, *self.shared) if line.account == key)


@dataclass(slots=True)
class _Sum:
    free: int | None
    reserved: int = 0
    settled: int = 0


@dataclass(eq=False, slots=True)
class Purse:
    """What one call holds and has spent; `deadline` is an instant of `time.monotonic`, or None.

    Accounts that no other call can share are kept in `own`, so that the ledger's store never hears of them.
    """

    ledger: Ledger
    subject: Subject
    deadline: float | None = None
    own: MemoryStore = field(default_factory=MemoryStore)
    _open: dict[str, Wish] = field(default_factory=dict)
    _sums: dict[tuple[Cap, str, bool], _Sum] = field(default_factory=dict)
    _free: dict[tuple[Cap, str, bool], int] = field(default_factory=dict)
    _count: int = 0

    def wish(self, n: int, worst: Amounts, floor: Amounts, model: str | None) -> Wish:
        """The wish for `n` holds of `worst` each, of which `floor` is spent for certain once they are used."""
        own: list[tuple[Cap, Line]] = []
        shared: list[tuple[Cap, Line]] = []
        subject, now = replace(self.subject, model=model), self.ledger.clock()
        for cap in self.ledger.caps:
            each = worst.of(cap.unit)
            if each:
                at = account(cap, subject, now)
                line = Line(at.key, at.limit, each, min(floor.of(cap.unit), each), at.expires)
                (own if private(cap, subject) else shared).append((cap, line))
        holds = tuple(f"{self.subject.call}.{i}" for i in range(self._count, self._count + n))
        self._count += n
        return Wish(holds, tuple(own), tuple(shared), self._lease())

    def moved(self, wish: Wish) -> bool:
        """Whether a window of the wish has ended, so that it has to be made anew."""
        now = self.ledger.clock()
        subjects = [(cap, line.account.split(":")[-1]) for cap, line in wish.shared]
        return any(account(cap, self.subject, now).key.split(":")[-1] != period for cap, period in subjects)

    def saw(self, wish: Wish, grant: Grant, *, shared: bool) -> None:
        """Note what the accounts had free when a store was asked."""
        lines = wish.shared if shared else wish.own
        for (cap, line), free in zip(lines, grant.free, strict=False):
            self._free[cap, line.account, shared] = free

    def took(self, wish: Wish, holds: Sequence[str]) -> None:
        """Note holds that were granted."""
        for hold in holds:
            self._open[hold] = wish
        for shared, lines in ((False, wish.own), (True, wish.shared)):
            for cap, line in lines:
                key = (cap, line.account, shared)
                total = self._sums.setdefault(key, _Sum(self._free.get(key)))
                total.reserved += len(holds) * line.each

    def close(self, hold: str, spent: Amounts | None) -> tuple[Settlement, tuple[str, ...]]:
        """Count what a hold came to (None: its floors), and how the ledger is told of it."""
        wish = self._open.pop(hold)
        amounts: dict[bool, tuple[int, ...]] = {}
        for shared, lines in ((False, wish.own), (True, wish.shared)):
            amounts[shared] = tuple(
                line.floor if spent is None else spent.of(cap.unit) for cap, line in lines
            )
            for (cap, line), amount in zip(lines, amounts[shared], strict=True):
                self._sums[cap, line.account, shared].settled += amount
        if wish.own:
            self.own.settle([Settlement(hold, amounts[False])])
        return Settlement(hold, amounts[True]), tuple(line.account for _, line in wish.shared)

    def report(self) -> tuple[Spent, ...]:
        """What the call took of each budget; may wait for the store, or raise `BudgetUnavailable`."""
        keys = list(self._sums)
        shared = [key for _, key, is_shared in keys if is_shared]
        own = [key for _, key, is_shared in keys if not is_shared]
        found = dict(zip(shared, self.ledger.balances(shared), strict=True)) if shared else {}
        found |= dict(zip(own, self.own.balances(own), strict=True))
        return tuple(
            self._spent(key, key[0].limit - found[key[1]].settled - found[key[1]].held) for key in keys
        )

    def reported(self) -> tuple[Spent, ...]:
        """As `report`, without asking the store: nobody knows what is left."""
        return tuple(self._spent(key, None) for key in self._sums)

    def _spent(self, key: tuple[Cap, str, bool], left: int | None) -> Spent:
        cap, total = key[0], self._sums[key]
        left = None if left is None else max(left, 0)
        return Spent(cap.name, cap.unit, total.reserved, total.settled, left, total.free)

    def _lease(self) -> float:
        least = self.ledger.assumed.lease_seconds
        return least if self.deadline is None else max(least, self.deadline - time.monotonic() + 60.0)
