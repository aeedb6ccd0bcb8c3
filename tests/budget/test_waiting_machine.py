"""Random histories of one ledger with waiters: nobody waits while there is room, nobody overtakes, nothing is lost."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.budget.memory import MemoryStore
from adaptive_middleware.budget.store import Ask, affordable
from adaptive_middleware.budget.waiting import Ticket
from tests.budget.asks import ask, line, spent

LIMIT = 40
ACCOUNTS = st.sampled_from([("a",), ("b",), ("a", "b")])
SIZES = st.integers(1, 15)


class Waiting(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.store = MemoryStore()
        self.ledger = Ledger((Cap("tokens", LIMIT),), self.store)
        self.count = 0
        self.open: dict[str, Ask] = {}
        self.tickets: list[Ticket] = []
        self.settled = {"a": 0, "b": 0}

    @rule(accounts=ACCOUNTS, each=SIZES, n=st.integers(1, 3), tenant=st.sampled_from([None, "x", "y"]))
    def call(self, accounts: tuple[str, ...], each: int, n: int, tenant: str | None) -> None:
        names = [f"h{self.count + i}" for i in range(n)]
        self.count += n
        wish = ask(*names, lines=tuple(line(account, LIMIT, each, 0) for account in accounts))
        grant = self.ledger.reserve(wish)
        if grant.holds:
            waiting = {one.room for one in self.waiting}
            assert not waiting & set(accounts), "this call has overtaken one that waits"
            self.took(grant.holds, wish)
        else:
            assert grant.short is not None
            self.tickets.append(self.ledger.wait(wish, tenant, grant.short))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.floats(0, 1))
    def settle(self, data: st.DataObject, share: float) -> None:
        hold = data.draw(st.sampled_from(sorted(self.open)))
        wish = self.open.pop(hold)
        amounts = tuple(round(one.each * share) for one in wish.lines)
        self.ledger.settle([spent(hold, *amounts)], [one.account for one in wish.lines])
        for one, amount in zip(wish.lines, amounts, strict=True):
            self.settled[one.account] += amount

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.tickets))
        self.tickets.remove(ticket)
        self.ledger.leave(ticket)

    @rule()
    def collect(self) -> None:
        """Those who were served go on; those who were refused go away."""
        for ticket in [one for one in self.tickets if one.grant or one.hopeless]:
            self.tickets.remove(ticket)
            if ticket.grant is not None:
                self.took(ticket.grant.holds, ticket.ask)

    def took(self, holds: tuple[str, ...], wish: Ask) -> None:
        self.open.update(dict.fromkeys(holds, wish))

    @property
    def waiting(self) -> list[Ticket]:
        return [one for one in self.tickets if one.grant is None and not one.hopeless]

    @invariant()
    def everything_is_counted_once_and_within_the_limit(self) -> None:
        handed = [(one.ask, hold) for one in self.tickets if one.grant for hold in one.grant.holds]
        for account, known in zip("ab", self.store.balances("ab"), strict=True):
            held = [*((wish, hold) for hold, wish in self.open.items()), *handed]
            at_worst = sum(one.each for wish, _ in held for one in wish.lines if one.account == account)
            assert (known.settled, known.held) == (self.settled[account], at_worst)
            assert known.settled + known.held <= LIMIT

    @invariant()
    def nobody_who_is_first_waits_while_there_is_room(self) -> None:
        balances = dict(zip("ab", self.store.balances("ab"), strict=True))
        for room in "ab":
            first = self.ledger._rooms.first(room)
            if first is not None:
                assert affordable(first.ask.lines, balances, 1)[0] == 0
                each = next(one.each for one in first.ask.lines if one.account == room)
                assert balances[room].settled + each <= LIMIT, "this one waits for nothing"

    @invariant()
    def everybody_who_waits_stands_in_a_room(self) -> None:
        assert all(self.ledger._rooms.busy([one.room]) for one in self.waiting)


Waiting.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestWaiting = Waiting.TestCase
