"""Optimal stopping: draw while another sample is worth its price."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from adaptive_middleware.policy.agreement import agreement
from adaptive_middleware.policy.gain import gain
from adaptive_middleware.types import Decision, State


@dataclass(frozen=True, slots=True)
class optimal_stopping:
    """Draw while another sample is worth its price: stop at `target`, give up when the gain is too small.

    The gain of one more sample is what it is expected to add to the probability that the returned answer
    is right (`gain`): from the belief, which every sample so far has moved, and from `sharpness`, how well
    scores separate right from wrong answers to one question. It stops when the leading answer is right
    with probability >= `target`, or when the gain is under the price: `give_up`, in probability of
    success, per sample, or per `per_tokens` completion tokens when that is above 0 (long answers then
    have to promise more). `window` samples are drawn at a time after the first one. Without scores it is
    `agreement(target, window)`: votes are then all there is.
    """

    target: float = 0.95
    give_up: float = 0.01
    window: int = 1
    sharpness: float = 1.0
    per_tokens: int = 0

    def __call__(self, state: State) -> Decision:
        """A further window of samples, or none at the target or when the gain is too small."""
        if not state.drawn:
            return Decision(1, "the first sample", {"next": state.belief.mean})
        p = 0.0 if state.leader is None else state.leader.probability
        if p is None:
            return agreement(self.target, self.window)(state)
        checked = bool(state.candidates) and all(one.verdict is not None for one in state.candidates)
        expected = gain(p, state.belief.mean, state.base_rate, inf if checked else self.sharpness)
        price = self._price(state)
        numbers = {
            "leader": p,
            "next": state.belief.mean,
            "gain": expected,
            "price": price,
            "target": self.target,
        }
        if p >= self.target:
            return Decision(
                0, f"the best answer is right with probability {p:.3f} >= {self.target:g}", numbers
            )
        if expected < price:
            because = f"one more sample would gain {expected:.4f} < its price {price:.4f}: more will not help"
            return Decision(0, because, numbers)
        because = f"P(best is right) = {p:.3f} < {self.target:g} and one more sample gains {expected:.3f}"
        return Decision(self.window, because, numbers)

    def _price(self, state: State) -> float:
        if not self.per_tokens:
            return self.give_up
        return self.give_up * state.completion_tokens / (state.drawn * self.per_tokens)
