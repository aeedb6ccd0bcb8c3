"""One budget over a batch of calls: every next sample goes where it is expected to help most."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heapreplace
from math import fsum

from adaptive_middleware.types import Belief

_Failing = list[tuple[float, float]]


def allocate(  # noqa: PLR0913 - the limits of one budget, by name
    beliefs: Sequence[Belief],
    total_budget: int,
    *,
    costs: Sequence[int] | None = None,
    minimum: int = 0,
    maximum: int | None = None,
    floor: float = 0.0,
) -> tuple[int, ...]:
    """How many samples each call of a batch gets, so that as many calls as possible get a right one.

    Maximises sum_i E[1 - (1 - p_i)^n_i] over the `beliefs` about p_i, with sum_i n_i * cost_i <= `total_budget`
    and `minimum` <= n_i <= `maximum` (Damani et al., arXiv 2410.04707, with beliefs in place of their probe).
    `costs` are the prices of one sample of each call, in the unit of the budget (tokens, say); without them
    a sample costs 1. A sample that promises less than `floor` per unit of cost, or nothing at all, is not
    bought, so some of the budget may be left.

    The gain of the n-th sample, E[p (1 - p)^(n - 1)], falls with n: buying the largest gain first never
    skips a sample for a later one of the same call. So with equal costs the answer is optimal. With
    unequal costs the largest gain per cost is bought first, and what no longer fits is left out: that is
    less than the optimum by at most one gain, of the first sample that did not fit.

    Raises `ValueError` for limits and costs that no allocation can keep.

    >>> sure, open_, hopeless = (Belief((p,), (1.0,)) for p in (0.9, 0.4, 0.01))
    >>> allocate([sure, open_, hopeless], 6)
    (2, 4, 0)
    >>> allocate([sure, open_, hopeless], 6, floor=0.1)
    (1, 3, 0)
    >>> allocate([sure, open_, hopeless], 6, costs=[1, 4, 1])
    (2, 1, 0)
    """
    prices = (1,) * len(beliefs) if costs is None else tuple(costs)
    most = max(total_budget, minimum) if maximum is None else maximum
    _check(len(beliefs), total_budget, prices, minimum, most)
    left = total_budget - minimum * sum(prices)
    counts, failing = [minimum] * len(beliefs), [_failing(belief, minimum) for belief in beliefs]
    heap = [(-_gain(pairs) / price, i) for i, (pairs, price) in enumerate(zip(failing, prices, strict=True))]
    heapify(heap)
    while heap and -heap[0][0] >= floor and heap[0][0]:
        i = heap[0][1]
        if counts[i] >= most or prices[i] > left:
            heappop(heap)
            continue
        counts[i], left = counts[i] + 1, left - prices[i]
        failing[i] = [(p, weight * (1 - p)) for p, weight in failing[i]]
        heapreplace(heap, (-_gain(failing[i]) / prices[i], i))
    return tuple(counts)


def _failing(belief: Belief, n: int) -> _Failing:
    """Every p with the probability that it is the true one and that `n` samples fail."""
    pairs = zip(belief.support, belief.weights, strict=True)
    return [(p, weight * (1 - p) ** n) for p, weight in pairs if weight]


def _gain(failing: _Failing) -> float:
    return fsum(p * weight for p, weight in failing)


def _check(calls: int, budget: int, prices: tuple[int, ...], minimum: int, most: int) -> None:
    needed = minimum * sum(prices)
    for wrong, message in (
        (len(prices) != calls, f"{calls} beliefs but {len(prices)} costs; give one cost per call"),
        (
            any(price <= 0 for price in prices),
            f"a sample cannot cost {min(prices, default=0)!r}; costs start at 1",
        ),
        (minimum < 0, f"minimum is {minimum!r}, but must be at least 0"),
        (most < minimum, f"maximum is {most!r}, less than the minimum of {minimum!r}"),
        (
            needed > budget,
            f"{minimum} samples for each of {calls} calls cost {needed}, more than {budget!r}; raise it",
        ),
    ):
        if wrong:
            raise ValueError(message)
