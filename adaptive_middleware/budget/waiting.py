"""Who waits for which account, and whose turn is next: tenants in turn, and in order of arrival within a tenant."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from adaptive_middleware.bell import Bell
from adaptive_middleware.budget.store import Ask, Grant
from adaptive_middleware.errors import BudgetUnavailable


@dataclass(eq=False, slots=True)
class Ticket:
    """A wish that waits: `bell` rings once it has an answer, or when it is first in its `room`.

    The answer is `grant`, the `error` of the store, or `hopeless`: too much is spent for good.
    """

    ask: Ask
    tenant: str | None
    room: str
    bell: Bell = field(default_factory=Bell)
    grant: Grant | None = None
    error: BudgetUnavailable | None = None
    hopeless: bool = False


@dataclass(slots=True)
class Rooms:
    """One room for each account that had no room left; not to be used by two threads at once."""

    _rooms: dict[str, OrderedDict[str | None, deque[Ticket]]] = field(default_factory=dict)

    def join(self, ticket: Ticket) -> None:
        """Let the ticket wait, last of its tenant."""
        room = self._rooms.setdefault(ticket.room, OrderedDict())
        room.setdefault(ticket.tenant, deque()).append(ticket)

    def first(self, room: str) -> Ticket | None:
        """Whose turn it is."""
        waiting = self._rooms.get(room)
        return next(iter(waiting.values()))[0] if waiting else None

    def served(self, ticket: Ticket) -> None:
        """Take the first ticket out; the other tenants come before the next one of its own."""
        room = self._rooms[ticket.room]
        self.leave(ticket)
        if ticket.tenant in room:
            room.move_to_end(ticket.tenant)

    def leave(self, ticket: Ticket) -> bool:
        """Take a ticket out, wherever it stands; False when it is not there."""
        room = self._rooms.get(ticket.room, OrderedDict())
        queue = room.get(ticket.tenant, deque())
        if ticket not in queue:
            return False
        queue.remove(ticket)
        if not queue:
            del room[ticket.tenant]
        if not room:
            del self._rooms[ticket.room]
        return True

    def busy(self, accounts: Iterable[str]) -> str | None:
        """The first of the accounts that somebody waits for."""
        return next((account for account in accounts if account in self._rooms), None)

    def waiting(self, account: str) -> int:
        """How many wait for an account."""
        return sum(map(len, self._rooms.get(account, {}).values()))
