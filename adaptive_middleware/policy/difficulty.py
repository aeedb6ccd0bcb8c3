"""N from the question alone, decided once: the rule of instance-adaptive scaling."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log1p

from adaptive_middleware.types import Decision, State

P_MIN = 1e-4


def samples_needed(p: float, confidence: float) -> int:
    """Independent samples after which at least one is right with probability `confidence`.

    N = ceil(ln(1 - C) / ln(1 - p)) with p clipped to [1e-4, 1 - 1e-4]: the rule of Park et al. 2025
    (arXiv 2506.09338), `confidence` in (0, 1).

    >>> [samples_needed(p, 0.99) for p in (0.99, 0.9, 0.5, 0.1, 0.01)]
    [1, 2, 7, 44, 459]
    """
    clipped = min(max(p, P_MIN), 1 - P_MIN)
    return ceil(log1p(-confidence) / log1p(-clipped))


@dataclass(frozen=True, slots=True)
class instance_adaptive:
    """N from the question's difficulty, decided once: instance-adaptive scaling (Park et al. 2025).

    p is the lower quantile of the calibrated score of the question alone. Without one (no scorer, or it
    failed) the rule has nothing to decide from and asks for `cap` samples.
    """

    confidence: float = 0.99
    cap: int = 64

    def __call__(self, state: State) -> Decision:
        """What is missing to the rule's N."""
        if state.question is None:
            return Decision(max(self.cap - state.drawn, 0), "no difficulty estimate: the whole cap", {})
        p = state.question.lower
        wanted = samples_needed(p, self.confidence)
        n = min(wanted, self.cap)
        because = (
            f"ln(1 - {self.confidence:g}) / ln(1 - {p:.3g}) asks for {wanted} samples"
            f"{f', capped at {self.cap}' if wanted > self.cap else ''}; {state.drawn} drawn"
        )
        numbers = {"p_lower": p, "confidence": self.confidence, "wanted": wanted, "cap": self.cap}
        return Decision(max(n - state.drawn, 0), because, numbers)
