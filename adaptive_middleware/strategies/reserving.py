"""Reserving as a flow: holds of a call's own accounts and of those that calls share, waited for where a cap says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from adaptive_middleware.budget.amounts import Amounts
from adaptive_middleware.budget.purse import Purse, Wish
from adaptive_middleware.budget.store import Ask, Grant, Settlement
from adaptive_middleware.budget.waiting import Ticket
from adaptive_middleware.effects import Consult, Flow, Pause
from adaptive_middleware.errors import BudgetExhausted, BudgetUnavailable

T = TypeVar("T")

POLL = 0.02
"""Seconds after which the first of those who wait looks for what other processes gave back."""
GLANCE = 1.0
"""Seconds after which everyone who waits looks whether a new day has begun."""
NOTHING = Amounts()


@dataclass(eq=False, slots=True)
class Reserving:
    """The holds of one call; `patient` says whether it may still wait: it has neither an answer nor a hold."""

    purse: Purse
    notes: list[str]
    clock: Callable[[], float] = time.monotonic
    patient: bool = True
    until: float = field(init=False)

    def __post_init__(self) -> None:
        deadline = self.purse.deadline
        self.until = self.clock() + self.purse.ledger.assumed.wait_seconds if deadline is None else deadline

    def holds(
        self, n: int, worst: Amounts, floor: Amounts, *, model: str | None, least: int = 1
    ) -> Flow[tuple[str, ...]]:
        """At least `least` and at most `n` holds of `worst` each; raises `BudgetExhausted` or `BudgetUnavailable`."""
        while True:
            wish = self.purse.wish(n, worst, floor, model)
            try:
                grant = yield from self._granted(wish, least)
            except BaseException:
                self._give_back(wish, wish.holds)
                raise
            if grant is not None:
                self._give_back(wish, wish.holds[len(grant.holds) :])
                self.purse.took(wish, grant.holds)
                if len(grant.holds) < n:
                    self.notes.append(self._short(wish, grant, n))
                return grant.holds
            self._give_back(wish, wish.holds)

    def settle(self, spent: Sequence[tuple[str, Amounts | None]]) -> Flow[None]:
        """Close holds with what they came to, None for their floors."""
        settlements, accounts = self._closed(spent)
        if settlements and not (yield from self._do(partial(self._settle, settlements, accounts))):
            self._unwritten()

    def settle_now(self, spent: Sequence[tuple[str, Amounts | None]]) -> None:
        """As `settle`, for a flow that is closed and cannot ask for anything any more."""
        settlements, accounts = self._closed(spent)
        if settlements:
            self._settle(settlements, accounts)

    def asked(self, work: Callable[[], T]) -> Flow[T]:
        """What the store says, without keeping an event loop waiting."""
        return self._do(work)

    def _granted(self, wish: Wish, least: int) -> Flow[Grant | None]:
        """What there is room for, at least `least`; None when the wish has to be made anew."""
        holds, short = wish.holds, None
        if wish.own:
            mine = self.purse.own.reserve(wish.ask(shared=False, holds=holds))
            self.purse.saw(wish, mine, shared=False)
            holds, short = mine.holds, mine.short
        if not wish.shared or len(holds) < least:
            return (yield from self._enough(wish, Grant(holds, short), least))
        ask, ledger = wish.ask(shared=True, holds=holds), self.purse.ledger
        grant = yield from self._or(
            partial(ledger.release, holds, ask), self._do(partial(ledger.reserve, ask))
        )
        if grant.holds or not self._may_wait(wish, grant):
            self.purse.saw(wish, grant, shared=True)
            grant = Grant(grant.holds, grant.short or short)
            return (yield from self._enough(wish, grant, least, ask))
        queue = partial(ledger.wait, ask, self.purse.subject.tenant, grant.short or "")
        ticket = yield from self._or(partial(ledger.release, holds, ask), self._do(queue))
        granted = yield from self._or(partial(ledger.leave, ticket), self._waited(wish, ticket))
        if granted is None:
            yield from self._do(partial(ledger.leave, ticket))
        else:
            self.purse.saw(wish, granted, shared=True)
        return granted

    def _waited(self, wish: Wish, ticket: Ticket) -> Flow[Grant | None]:
        """What was handed over; None when the wish has to be made anew."""
        ledger = self.purse.ledger
        while ticket.grant is None:
            if ticket.error is not None:
                raise ticket.error
            left = self.until - self.clock()
            if ticket.hopeless or left <= 0:
                raise BudgetExhausted(self._short(wish, Grant((), ticket.room), 1))
            if self.purse.moved(wish):
                return None
            first = ledger.store.shared and (yield from self._do(partial(ledger.look, ticket)))
            yield Pause(ticket.bell, min(left, POLL if first else GLANCE))
        grant, ticket.grant = ticket.grant, None
        return grant

    def _or(self, undo: Callable[[], object], flow: Flow[T]) -> Flow[T]:
        """What `flow` comes to; when it fails or is closed, `undo` is done.

        Not where the store fails: it took nothing, or what it took heals.
        """
        try:
            return (yield from flow)
        except GeneratorExit:
            undo()
            raise
        except BudgetUnavailable:
            raise
        except BaseException:
            yield from self._do(undo)
            raise

    def _may_wait(self, wish: Wish, grant: Grant) -> bool:
        return self.patient and grant.short is not None and wish.cap(grant.short).on_exhausted == "wait"

    def _enough(self, wish: Wish, grant: Grant, least: int, ask: Ask | None = None) -> Flow[Grant]:
        """The grant, if it is of at least `least`; what is too little is given back."""
        if len(grant.holds) >= least:
            return grant
        if ask is not None and grant.holds:
            yield from self._do(partial(self.purse.ledger.release, grant.holds, ask))
        raise BudgetExhausted(self._short(wish, grant, least))

    def _short(self, wish: Wish, grant: Grant, n: int) -> str:
        cap = wish.cap(grant.short or "")
        each = next(line.each for _, line in (*wish.own, *wish.shared) if line.account == grant.short)
        return (
            f"the budget '{cap.name}' ({cap.limit}) has room for {len(grant.holds)} of {n} more answers, which may take "
            f"{each} each; raise it, wait for its next window, or set max_tokens lower"
        )

    def _give_back(self, wish: Wish, holds: Sequence[str]) -> None:
        if wish.own and holds:
            self.purse.own.settle([Settlement(hold, (0,) * len(wish.own)) for hold in holds])

    def _closed(self, spent: Sequence[tuple[str, Amounts | None]]) -> tuple[list[Settlement], list[str]]:
        settlements, accounts = [], {}
        for hold, amounts in spent:
            settlement, touched = self.purse.close(hold, amounts)
            if touched:
                settlements.append(settlement)
                accounts.update(dict.fromkeys(touched))
        return settlements, list(accounts)

    def _settle(self, settlements: Sequence[Settlement], accounts: Sequence[str]) -> bool:
        return self.purse.ledger.settle(settlements, accounts)

    def _unwritten(self) -> None:
        waiting = self.purse.ledger.unsettled
        self.notes.append(f"BudgetUnavailable: {waiting} settlements wait for the budgets' store")

    def _do(self, work: Callable[[], T]) -> Flow[T]:
        if self.purse.ledger.store.waits:
            return (yield from Consult(work))
        return work()
