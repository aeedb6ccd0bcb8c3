"""Random histories of processes on one ledger file, with crashes, cancels and restarts, against a model of dicts."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.budget.store import Settlement
from tests.budget.asks import ask, line, numbers, spent

LIMIT, LEASE = 60, 100.0


@dataclass
class Open:
    each: int
    floor: int
    owner: str
    lease: float
    healed: bool = False


class Histories(RuleBasedStateMachine):
    holds = Bundle("holds")
    closed = Bundle("closed")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now, self.ids, self.starts = 0.0, 0, 0
        self.dead: set[str] = set()
        self.model: dict[str, Open] = {}
        self.settled = self.late = 0
        self.names: list[str] = []
        self.stores: list[SqliteStore] = []
        for _ in range(2):
            self.start(len(self.stores))

    def start(self, place: int) -> None:
        self.starts += 1
        name = f"boot:1:{self.starts}:0"
        store = SqliteStore(
            Path(self.folder.name) / "b.db", name=name, died=self.dead.__contains__, clock=lambda: self.now
        )
        self.names[place : place + 1] = [name]
        self.stores[place : place + 1] = [store]

    @property
    def held(self) -> int:
        return sum(one.each for one in self.model.values() if not one.healed)

    def heal(self) -> int:
        left = [
            one
            for one in self.model.values()
            if not one.healed and (one.owner in self.dead or one.lease < self.now)
        ]
        for one in left:
            one.healed = True
            self.settled += one.floor
        return len(left)

    @rule(target=holds, place=st.integers(0, 1), n=st.integers(1, 4), each=st.integers(1, 30), data=st.data())
    def reserve(self, place: int, n: int, each: int, data: st.DataObject) -> str | None:
        self.now += 2.0
        floor = data.draw(st.integers(0, each))
        names = [f"h{self.ids + i}" for i in range(n)]
        self.ids += n
        if n > max(LIMIT - self.settled - self.held, 0) // each:
            self.heal()
        room = max(LIMIT - self.settled - self.held, 0) // each
        grant = self.stores[place].reserve(ask(*names, lines=(line("a", LIMIT, each, floor),), lease=LEASE))
        assert grant.holds == tuple(names[: min(n, room)])
        for name in grant.holds:
            self.model[name] = Open(each, floor, self.names[place], self.now + LEASE)
        return grant.holds[0] if grant.holds else None

    @rule(target=closed, hold=consumes(holds), place=st.integers(0, 1), share=st.floats(0, 1))
    def settle(self, hold: str | None, place: int, share: float) -> str | None:
        if hold is None:
            return None
        one = self.model.pop(hold)
        amount = round(one.each * share)
        self.stores[place].settle([spent(hold, amount)])
        self.settled += amount - (one.floor if one.healed else 0)
        self.late += max(amount - one.floor, 0) if one.healed else 0
        return hold

    @rule(target=closed, hold=consumes(holds))
    def cancel(self, hold: str | None) -> str | None:
        if hold is None:
            return None
        one = self.model.pop(hold)
        self.stores[0].settle([Settlement(hold, None)])
        self.settled += 0 if one.healed else one.floor
        return hold

    @rule(hold=closed, place=st.integers(0, 1), amount=st.integers(0, 99))
    def settle_again(self, hold: str | None, place: int, amount: int) -> None:
        self.stores[place].settle([spent(hold or "never", amount)])

    @rule(place=st.integers(0, 1))
    def crash(self, place: int) -> None:
        self.dead.add(self.names[place])
        self.stores[place].close()
        self.start(place)

    @rule(place=st.integers(0, 1))
    def restart_heals(self, place: int) -> None:
        assert self.stores[place].heal() == self.heal()

    @rule(seconds=st.sampled_from([1.0, LEASE / 2, LEASE + 1]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def nothing_is_lost_or_counted_twice(self) -> None:
        assert numbers(self.stores[0]) == numbers(self.stores[1]) == [(self.settled, self.held)]

    @invariant()
    def no_more_is_settled_than_the_budget_allows(self) -> None:
        assert self.settled + self.held <= LIMIT + self.late

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        self.folder.cleanup()


Histories.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestHistories = Histories.TestCase
