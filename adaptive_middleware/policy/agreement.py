"""Stopping by the votes of the answers alone, without a process reward model."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

from adaptive_middleware.types import Decision, State


def stays_leader(first: int, second: int) -> float:
    """Probability that the leading answer stays ahead of the runner-up, by their vote counts.

    1 - I_0.5(v1 + 1, v2 + 1), the Beta rule of Adaptive-Consistency (arXiv 2305.11860), as a finite sum.

    >>> round(stays_leader(3, 0), 4)
    0.9375
    """
    trials = first + second + 1
    return 1 - sum(comb(trials, k) for k in range(second + 1)) / float(1 << trials)


@dataclass(frozen=True, slots=True)
class agreement:
    """Draw until the leading answer will stay the leader with `confidence`: Adaptive-Consistency.

    Needs no process reward model, only canonical answers. `window` samples are drawn at a time.
    """

    confidence: float = 0.95
    window: int = 1

    def __call__(self, state: State) -> Decision:
        """A further window of samples, or none once the leader is safe."""
        first, second = (*state.votes, 0, 0)[:2]
        stays = stays_leader(first, second)
        numbers = {"first": first, "second": second, "stays_leader": stays, "confidence": self.confidence}
        votes = f"votes {first}:{second}, the leader stays ahead with probability {stays:.3f}"
        if first and stays >= self.confidence:
            return Decision(0, f"{votes} >= {self.confidence:g}", numbers)
        return Decision(self.window, f"{votes} < {self.confidence:g}", numbers)
