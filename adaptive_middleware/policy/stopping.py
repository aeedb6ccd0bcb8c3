"""Optimal stopping: draw while another sample is worth its price."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from adaptive_middleware.policy.agreement import agreement
from adaptive_middleware.policy.batch import batch_size, chance_after
from adaptive_middleware.policy.gain import gain, reaches
from adaptive_middleware.policy.prices import Prices, draw_cost
from adaptive_middleware.types import Decision, State, Usage


@dataclass(frozen=True, slots=True)
class optimal_stopping:
    """Draw while another sample is worth its price: stop at `target`, give up when the gain is too small.

    The gain of one more sample is what it is expected to add to the probability that the returned answer
    is right (`gain`): from the belief, which every sample so far has moved, and from `sharpness`, how well
    scores separate right from wrong answers to one question. It stops when the leading answer is right
    with probability >= `target`, or when the gain is under the price: `give_up`, in probability of
    success, per sample, or per `per_tokens` completion tokens when that is above 0 (long answers then
    have to promise more). With `prices` all that a draw costs is counted in completion tokens: prompt, cached prompt,
    process reward model, round trip. Without scores it is `agreement(target, window)`: votes are then all there is.

    `window` samples are drawn at a time after the first one; with `prices`, at most `window`, as many as cost
    least per sample that drawing one at a time would have needed (`batch_size`), none of them under its price.
    """

    target: float = 0.95
    give_up: float = 0.01
    window: int = 1
    sharpness: float = 1.0
    per_tokens: int = 0
    prices: Prices | None = None

    def __call__(self, state: State) -> Decision:
        """A further window of samples, or none at the target or when the gain is too small."""
        if not state.drawn:
            return Decision(1, "the first sample", {"next": state.belief.mean})
        p = 0.0 if state.leader is None else state.leader.probability
        if p is None:
            return agreement(self.target, self.window)(state)
        sharpness = self._sharpness(state)
        expected = gain(p, state.belief.mean, state.base_rate, sharpness)
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
        return Decision(self._window(state, p, sharpness), because, numbers)

    def _sharpness(self, state: State) -> float:
        verdicts = [one.verdict for one in state.candidates]
        checked = bool(verdicts) and all(one is not None and one.passed is not None for one in verdicts)
        return inf if checked else self.sharpness

    def _price(self, state: State) -> float:
        if not self.per_tokens:
            return self.give_up
        if self.prices is not None:
            return self.give_up * draw_cost(self.prices, _past(state), 1) / self.per_tokens
        return self.give_up * state.completion_tokens / (state.drawn * self.per_tokens)

    def _window(self, state: State, leader: float, sharpness: float) -> int:
        if self.prices is None or self.window == 1:
            return self.window
        prices, past = self.prices, _past(state)
        costs = [draw_cost(prices, past, k) for k in range(1, self.window + 1)]
        worth = 1
        while worth < self.window and self.per_tokens:
            value = gain(leader, chance_after(state.belief, worth), state.base_rate, sharpness)
            if value < self.give_up * (costs[worth] - costs[worth - 1]) / self.per_tokens:
                break
            worth += 1
        ends = reaches(self.target, state.belief.mean, state.base_rate, sharpness)
        return batch_size(lambda k: costs[k - 1], ends, worth)


def _past(state: State) -> list[Usage]:
    """What each sample so far cost, its process reward model tokens included."""
    return [
        one.path.usage if one.scores is None else replace(one.path.usage, prm_tokens=one.scores.tokens)
        for one in (*state.candidates, *state.dropped)
    ]
