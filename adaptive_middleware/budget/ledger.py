"""The ledger: caps over a store, with waiters that are served in turn and settlements that are never lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.memory import MemoryStore
from adaptive_middleware.budget.prices import PriceOf, unpriced
from adaptive_middleware.budget.store import Ask, Balance, BudgetStore, Grant, Settlement
from adaptive_middleware.budget.waiting import Rooms, Ticket
from adaptive_middleware.errors import BudgetUnavailable, ConfigError


@dataclass(frozen=True, slots=True)
class Assumed:
    """What is assumed of a call that does not say it itself.

    An answer has `answer_tokens` at most where the request names no limit, a prompt never more than `prompt_tokens`, scoring one set of paths takes `prm_ms`
    at most, a waiter without a deadline waits `wait_seconds`, and a hold stays open for `lease_seconds` at most, or
    until a minute past the call's deadline.
    """

    answer_tokens: int = 4096
    prompt_tokens: int = 200_000
    prm_ms: int = 10_000
    wait_seconds: float = 30.0
    lease_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one account of a cap stands: in the cap's unit, with how many calls of this process wait for it."""

    cap: Cap
    account: str
    settled: int
    held: int
    waiting: int


@dataclass(eq=False, slots=True)
class Ledger:
    """The caps that hold for all calls, and the one place where they are counted; usable from any thread.

    A waiter is refused at once when too much is spent for good. Nobody overtakes: where somebody waits for an account, newcomers have to wait or be refused, too. A
    settlement that the store cannot take is kept, and made before the next reservation. Raises `ConfigError` for two
    caps of one unit, scope and window.
    """

    caps: tuple[Cap, ...]
    store: BudgetStore = field(default_factory=MemoryStore)
    price: PriceOf = unpriced
    assumed: Assumed = Assumed()
    clock: Callable[[], float] = time.time
    _rooms: Rooms = field(default_factory=Rooms, init=False)
    _unsettled: list[Settlement] = field(default_factory=list, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        names = [cap.name for cap in self.caps]
        if twice := next((name for name in names if names.count(name) > 1), None):
            message = f"the budget '{twice}' is given twice; keep one of them"
            raise ConfigError(message)

    def reserve(self, ask: Ask) -> Grant:
        """Take as many of the holds as there is room for, none where others wait; or `BudgetUnavailable`."""
        if self._unsettled:
            self._flush(())
        with self._lock:
            busy = self._rooms.busy(line.account for line in ask.lines)
        return self.store.reserve(ask) if busy is None else Grant((), busy)

    def wait(self, ask: Ask, tenant: str | None, room: str) -> Ticket:
        """Queue for the account `room`; what others give back is handed on in turn."""
        ticket = Ticket(ask, tenant, room)
        with self._lock:
            self._rooms.join(ticket)
            self._serve(room)
        return ticket

    def look(self, ticket: Ticket) -> bool:
        """See whether other processes have given something back, if it is this ticket's turn; whether it still waits first."""
        with self._lock:
            if self._rooms.first(ticket.room) is ticket:
                self._serve(ticket.room)
            return self._rooms.first(ticket.room) is ticket

    def leave(self, ticket: Ticket) -> None:
        """Stop waiting; a grant that was handed over meanwhile is given back."""
        with self._lock:
            grant, ticket.grant = ticket.grant, None
            if self._rooms.leave(ticket):
                self._serve(ticket.room)
        if grant is not None:
            self.release(grant.holds, ticket.ask)

    def settle(self, settlements: Sequence[Settlement], accounts: Iterable[str]) -> bool:
        """Close holds and serve who waits for these accounts; False when the store cannot take it now."""
        try:
            self._flush(settlements)
        except BudgetUnavailable:
            return False
        with self._lock:
            for account in accounts:
                self._serve(account)
        return True

    def release(self, holds: Sequence[str], ask: Ask) -> bool:
        """Give holds back as if nothing had been asked of anyone; also those that were never taken."""
        nothing = (0,) * len(ask.lines)
        return self.settle(
            [Settlement(hold, nothing) for hold in holds], (line.account for line in ask.lines)
        )

    def balances(self, accounts: Sequence[str]) -> list[Balance]:
        """The balance of each account, in order; or `BudgetUnavailable`."""
        return self.store.balances(accounts)

    def standing(self) -> list[Standing]:
        """Where every account of the caps stands that the store remembers; or `BudgetUnavailable`."""
        known = self.store.accounts()
        with self._lock:
            waiting = {key: self._rooms.waiting(key) for key in known}
        return [
            Standing(cap, key, balance.settled, balance.held, waiting[key])
            for cap in self.caps
            for key, balance in known.items()
            if cap.counts(key)
        ]

    @property
    def unsettled(self) -> int:
        """How many settlements wait for the store."""
        return len(self._unsettled)

    def _flush(self, settlements: Sequence[Settlement]) -> None:
        """Settle, with what is left from before; all of it is kept when the store fails: twice is once."""
        with self._lock:
            left, self._unsettled = self._unsettled, []
        try:
            self.store.settle([*left, *settlements])
        except BudgetUnavailable:
            with self._lock:
                self._unsettled = [*left, *settlements, *self._unsettled]
            raise

    def _serve(self, room: str) -> None:
        """Hand what is free to who is first, until it is not enough; called with the lock held."""
        while (ticket := self._rooms.first(room)) is not None:
            moved = self._answer(ticket)
            if moved == room:
                return
            self._rooms.served(ticket)
            if moved is None:
                ticket.bell.ring()
            else:
                ticket.room = moved
                self._rooms.join(ticket)
                self._serve(moved)
            if self.store.shared and (following := self._rooms.first(room)) is not None:
                following.bell.ring()

    def _answer(self, ticket: Ticket) -> str | None:
        """Answer a ticket if that is possible now, else say for which account it has to wait."""
        try:
            grant = self.store.reserve(ticket.ask)
            if not grant.holds and grant.short is not None:
                ticket.hopeless = self._hopeless(ticket.ask, grant.short)
                return None if ticket.hopeless else grant.short
            ticket.grant = grant
        except BudgetUnavailable as error:
            ticket.error = error
        return None

    def _hopeless(self, ask: Ask, short: str) -> bool:
        """Whether there is not enough left even when all that is held is given back."""
        (known,) = self.store.balances([short])
        return any(line.account == short and known.settled + line.each > line.limit for line in ask.lines)
