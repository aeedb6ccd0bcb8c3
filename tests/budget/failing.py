"""A store that fails when it is told to."""

from __future__ import annotations

from collections.abc import Sequence

from adaptive_middleware.budget.memory import MemoryStore
from adaptive_middleware.budget.store import Ask, Balance, Grant, Settlement
from adaptive_middleware.errors import BudgetUnavailable


class Failing:
    """A memory store that fails while `down`, or only where it is to reserve."""

    waits = shared = False

    def __init__(self) -> None:
        self.inner, self.down = MemoryStore(), False
        self.down_for_reserving = False

    def _up(self, *, reserving: bool = False) -> MemoryStore:
        if self.down or (reserving and self.down_for_reserving):
            message = "the disk is full"
            raise BudgetUnavailable(message)
        return self.inner

    def reserve(self, wish: Ask) -> Grant:
        return self._up(reserving=True).reserve(wish)

    def settle(self, settlements: Sequence[Settlement]) -> None:
        self._up().settle(settlements)

    def balances(self, accounts: Sequence[str]) -> list[Balance]:
        return self._up().balances(accounts)

    def accounts(self) -> dict[str, Balance]:
        return self._up().accounts()

    def heal(self) -> int:
        return self._up().heal()
