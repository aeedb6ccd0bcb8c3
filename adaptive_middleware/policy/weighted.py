"""Stopping by a vote in which every sample counts as much as it is probably right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, fsum, lgamma, log

from adaptive_middleware.types import Decision, State

_TINY, _CLOSE, _TERMS = 1e-300, 1e-13, 500


def overtaken(first: float, second: float) -> float:
    """Probability that the leading answer loses its lead, by the weights (>= 0) of the two leading answers.

    I_0.5(w1 + 1, w2 + 1): the Beta rule of Adaptive-Consistency (arXiv 2305.11860), with sums of probabilities in
    place of counts of votes.

    >>> round(overtaken(3.0, 0.0), 4), round(overtaken(2.4, 0.3), 4)
    (0.0625, 0.1385)
    """
    a, b = first + 1, second + 1
    if a < b:
        return 1 - overtaken(second, first)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) - (a + b) * log(2)) / a
    return front * _fraction(a, b)


@dataclass(frozen=True, slots=True)
class weighted_agreement:
    """Draw while another sample may still turn the weighted vote: stop when P(overtaken) / n < `give_up`.

    An answer weighs the sum of its samples' calibrated probabilities, 1 for a sample without an estimate, so
    without a process reward model these are votes. n samples are drawn. The next of n + 1 exchangeable samples is the
    best of them with probability 1 / (n + 1): what one more can change falls as 1 / n, whatever it costs.
    With `by_votes`, the calibrated probability that the leading answer of these counts is right
    (`calibration.votes`), that chance counts only as far as the leader is wrong: P(overtaken) (1 - p) / n.
    That cost is `give_up` per sample, or per `per_tokens` completion tokens when that is above 0. Select by
    `calibrated_vote`, so that the leader is the one that is returned.
    """

    give_up: float = 0.02
    window: int = 1
    per_tokens: int = 0
    by_votes: Callable[[Sequence[int]], float] | None = None

    def __call__(self, state: State) -> Decision:
        """A further window of samples, or none once the vote will hardly turn."""
        if not state.drawn:
            return Decision(1, "the first sample")
        first, second = _leading(state)
        right = 0.0 if self.by_votes is None else self.by_votes(state.votes)
        turns = overtaken(first, second) * (1 - right) / state.drawn
        price = self._price(state)
        numbers = {"first": first, "second": second, "right": right, "turns": turns, "price": price}
        weights = f"weights {first:.2f}:{second:.2f}, one more sample turns the vote with about {turns:.4f}"
        if turns < price:
            return Decision(0, f"{weights} < its price {price:.4f}", numbers)
        return Decision(self.window, f"{weights} >= its price {price:.4f}", numbers)

    def _price(self, state: State) -> float:
        if not self.per_tokens:
            return self.give_up
        return self.give_up * state.completion_tokens / (state.drawn * self.per_tokens)


def _leading(state: State) -> tuple[float, float]:
    """Weights of the two leading answers; a sample without an answer stands alone."""
    weights: dict[str | int, list[float]] = {}
    for index, one in enumerate(state.candidates):
        key = index if one.answer is None else one.answer
        weights.setdefault(key, []).append(1.0 if one.estimate is None else one.estimate.mean)
    ranked = sorted((fsum(own) for own in weights.values()), reverse=True)
    first, second = (*ranked, 0.0, 0.0)[:2]
    return first, second


def _fraction(a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function at 1/2 (DLMF 8.17.22), by Lentz's method."""
    value = c = 1.0
    d = 0.0
    for m in range(_TERMS):
        for numerator in (
            -(a + m) * (a + b + m) * 0.5 / ((a + 2 * m) * (a + 2 * m + 1)),
            (m + 1) * (b - m - 1) * 0.5 / ((a + 2 * m + 1) * (a + 2 * m + 2)),
        ):
            d = 1 / _away(1 + numerator * d)
            c = _away(1 + numerator / c)
            value *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return 1 / value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
