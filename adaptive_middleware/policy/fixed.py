"""Fixed N: every call gets the same number of samples."""

from __future__ import annotations

from dataclasses import dataclass

from adaptive_middleware.types import Decision, State


@dataclass(frozen=True, slots=True)
class fixed:
    """Always `n` samples: the baseline."""

    n: int = 1

    def __call__(self, state: State) -> Decision:
        """What is missing to `n`."""
        return Decision(max(self.n - state.drawn, 0), f"fixed: {self.n} samples for every call")
