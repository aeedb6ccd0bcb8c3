"""The port of budget stores: holds are taken and settled at once or not at all, and pure arithmetic decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Line:
    """What one hold takes of one account: `each` at worst, `floor` for certain once the request is on its way.

    The account may hold and have settled `limit` at most, and may be forgotten at `expires` (Unix seconds).
    """

    account: str
    limit: int
    each: int
    floor: int
    expires: float


@dataclass(frozen=True, slots=True)
class Ask:
    """A wish for one hold per answer, at least one: their ids, what each takes, and for how many seconds it may stay open.

    The accounts of the lines differ. A hold that is open for longer than `lease` is settled to its floors.
    """

    holds: tuple[str, ...]
    lines: tuple[Line, ...]
    lease: float


@dataclass(frozen=True, slots=True)
class Grant:
    """The holds that were taken, the first ones of the wish; `short` is the account that kept it from more.

    `free` is what each account of the wish had free just before, in the order of its lines (empty: not known).
    """

    holds: tuple[str, ...]
    short: str | None = None
    free: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a hold came to, an amount for each line of its wish, in order; None: its floors."""

    hold: str
    spent: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account has spent for good, and what its open holds may still cost."""

    settled: int = 0
    held: int = 0


class BudgetStore(Protocol):
    """Keeps accounts and holds. Every method is atomic, callable from any thread, and raises `BudgetUnavailable`."""

    @property
    def waits(self) -> bool:
        """Whether a call may wait for a disk or a network, so that an event loop must not make it."""
        ...

    @property
    def shared(self) -> bool:
        """Whether other processes take from the same accounts."""
        ...

    def reserve(self, ask: Ask) -> Grant:
        """Take as many of the holds as all accounts have room for; a wish that arrives twice is granted once."""
        ...

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Close holds. One that is closed already, or was never taken, is left alone."""
        ...

    def balances(self, accounts: Sequence[str]) -> list[Balance]:
        """The balance of each account, in order; zero for an unknown one."""
        ...

    def accounts(self) -> dict[str, Balance]:
        """Every account that is remembered, with its balance."""
        ...

    def heal(self) -> int:
        """Settle to their floors the holds whose process died or whose lease ran out; how many these were.

        When such a hold is settled later after all, that counts instead of its floors.
        """
        ...


def free(lines: Sequence[Line], balances: Mapping[str, Balance]) -> tuple[int, ...]:
    """What each line's account has neither spent nor reserved, never below 0.

    >>> free([Line("a", 10, 3, 0, 0.0)], {"a": Balance(settled=2, held=1)})
    (7,)
    """
    known = [balances.get(line.account, Balance()) for line in lines]
    return tuple(max(line.limit - of.settled - of.held, 0) for line, of in zip(lines, known, strict=True))


def affordable(lines: Sequence[Line], balances: Mapping[str, Balance], n: int) -> tuple[int, str | None]:
    """How many of `n` holds all accounts have room for, and the account that kept it from more.

    >>> affordable([Line("a", 10, 3, 0, 0.0)], {"a": Balance(settled=2, held=1)}, 4)
    (2, 'a')
    """
    most, short = n, None
    for line in lines:
        if line.each == 0:
            continue
        known = balances.get(line.account, Balance())
        room = max((line.limit - known.settled - known.held) // line.each, 0)
        if room < most:
            most, short = room, line.account
    return most, short
