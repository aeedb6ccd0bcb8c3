"""How many samples to draw at once, when a round trip and its prompt cost something of their own."""

from __future__ import annotations

from collections.abc import Callable
from math import expm1, log1p

from adaptive_middleware.types import Belief


def batch_size(cost: Callable[[int], float], ends: float, most: int) -> int:
    """The k <= `most` whose samples cost least per useful one; `ends` is the chance that one sample ends the call.

    Drawn one at a time, sampling stops at the first sample that ends the call, so of k at once only
    (1 - (1 - ends)^k) / ends are expected to have been needed: a batch saves prompts and round trips and wastes the
    rest. `cost(k)` is what a draw of k costs. Of those that are equal to nine digits the smallest.

    >>> free_prompt, dear_prompt = (lambda k: 100.0 * k), (lambda k: 400 + 100.0 * k)
    >>> [batch_size(free_prompt, 0.3, 8), batch_size(dear_prompt, 0.3, 8), batch_size(dear_prompt, 0.01, 8)]
    [1, 4, 8]
    """
    best, least = 1, cost(1)
    for k in range(2, most + 1):
        each = cost(k) / useful(k, ends)
        if each < least * (1 - 1e-9):
            best, least = k, each
    return best


def useful(k: int, ends: float) -> float:
    """How many of `k` samples drawing one at a time would have needed: (1 - (1 - ends)^k) / ends.

    >>> useful(4, 0.0), useful(4, 1.0)
    (4.0, 1.0)
    """
    if ends <= 0:
        return float(k)
    return 1.0 if ends >= 1 else -expm1(k * log1p(-ends)) / ends


def chance_after(belief: Belief, failures: int) -> float:
    """Chance that the next sample is right after that many wrong ones: E[p (1 - p)^j] / E[(1 - p)^j]."""
    pairs = [
        (p, weight * (1 - p) ** failures) for p, weight in zip(belief.support, belief.weights, strict=True)
    ]
    total = sum(weight for _, weight in pairs)
    return sum(p * weight for p, weight in pairs) / total if total > 0 else 0.0
