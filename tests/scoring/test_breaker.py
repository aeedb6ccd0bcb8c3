"""The circuit breaker against a model of it, with a clock of its own."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adaptive_middleware.scoring.breaker import Breaker


class Machine(RuleBasedStateMachine):
    """The model: failures in a row, and the instant at which an open breaker lets one trial through."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.breaker = Breaker(failures=3, seconds=10.0, clock=lambda: self.now)
        self.in_a_row = 0
        self.opens_at = 0.0

    @rule(seconds=st.sampled_from([0.0, 1.0, 9.5, 10.0, 25.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def success(self) -> None:
        self.breaker.succeeded()
        self.in_a_row = 0

    @rule()
    def failure(self) -> None:
        self.breaker.failed()
        self.in_a_row += 1
        self.opens_at = self.now + 10.0

    @precondition(lambda self: self.in_a_row < 3)
    @rule()
    def closed_admits_everything(self) -> None:
        assert all(self.breaker.admits() for _ in range(5))

    @precondition(lambda self: self.in_a_row >= 3 and self.now < self.opens_at)
    @rule()
    def open_admits_nothing(self) -> None:
        assert not any(self.breaker.admits() for _ in range(5))

    @precondition(lambda self: self.in_a_row >= 3 and self.now >= self.opens_at)
    @rule()
    def half_open_admits_one_trial_and_another_if_it_never_reports(self) -> None:
        assert [self.breaker.admits() for _ in range(3)] == [True, False, False]
        self.opens_at = self.now + 10.0

    @invariant()
    def one_success_closes_it(self) -> None:
        if self.in_a_row == 0:
            assert self.breaker.admits()


TestBreaker = Machine.TestCase
