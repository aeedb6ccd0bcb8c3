"""Whether an answer that is being written is worth finishing."""

from __future__ import annotations

from dataclasses import dataclass

from adaptive_middleware.policy.gain import gain
from adaptive_middleware.types import Candidate, Decision, State


@dataclass(frozen=True, slots=True)
class worth_finishing:
    """Read an open answer on while what it may still add is worth the tokens that are missing.

    The gain is that of `optimal_stopping`, for an answer that ends right with the calibrated probability c of
    its steps so far: E[max(c_end - leader, 0)], where c_end spreads around c as far as the remaining steps can
    still tell (`sharpness`). The price is `give_up` per `per_tokens` completion tokens, times the
    tokens that are missing, times `impatience`: above 1 because a fresh answer could be had for them instead.
    Missing are the mean length of the finished answers of this call (`per_tokens` before there is one) minus
    what was read, at least one step. Use the `give_up` and `per_tokens` of the stopping rule beside it.
    """

    give_up: float = 0.01
    per_tokens: int = 500
    sharpness: float = 2.0
    impatience: float = 2.0

    def __call__(self, state: State, open_answer: Candidate) -> Decision:
        """1 to read on, 0 to drop; an answer without an estimate is read on."""
        if open_answer.estimate is None:
            return Decision(1, "not scored")
        c = open_answer.estimate.mean
        leader = 0.0 if state.leader is None else state.leader.probability or 0.0
        missing = self._missing(state, open_answer)
        expected = gain(leader, c, c, self.sharpness)
        price = self.impatience * self.give_up * missing / self.per_tokens
        numbers = {"p": c, "leader": leader, "gain": expected, "price": price, "missing": missing}
        if expected >= price:
            return Decision(1, f"finishing gains {expected:.4f} >= its price {price:.4f}", numbers)
        because = f"dropped after {len(open_answer.path.steps)} steps: p = {c:.3f}, finishing would gain {expected:.4f} < its price {price:.4f}"
        return Decision(0, because, numbers)

    def _missing(self, state: State, open_answer: Candidate) -> float:
        lengths = [one.path.usage.completion_tokens for one in state.candidates]
        expected = sum(lengths) / len(lengths) if lengths else self.per_tokens
        read = open_answer.path.usage.completion_tokens
        return max(expected - read, read / len(open_answer.path.steps))
