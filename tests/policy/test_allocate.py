"""One budget over a batch, against every allocation there is."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware import belief
from adaptive_middleware.policy import allocate
from adaptive_middleware.types import Belief

BELIEF = st.lists(st.tuples(st.floats(0.01, 0.99), st.integers(1, 9)), min_size=1, max_size=3).map(
    lambda pairs: Belief(tuple(p for p, _ in pairs), tuple(w / sum(v for _, v in pairs) for _, w in pairs))
)
BELIEFS = st.lists(BELIEF, min_size=1, max_size=4)


def certain(*chances: float) -> list[Belief]:
    return [Belief((p,), (1.0,)) for p in chances]


def solved(beliefs: Sequence[Belief], counts: Sequence[int]) -> float:
    """Expected number of calls with a right sample, in exact arithmetic."""
    exact = sum(
        Fraction(w) * (1 - (1 - Fraction(p)) ** n)
        for one, n in zip(beliefs, counts, strict=True)
        for p, w in zip(one.support, one.weights, strict=True)
    )
    return float(exact)


def best(beliefs: Sequence[Belief], budget: int, costs: Sequence[int], low: int, high: int) -> float:
    """The optimum, by trying everything."""
    every = product(range(low, high + 1), repeat=len(beliefs))
    return max(
        solved(beliefs, counts)
        for counts in every
        if sum(n * cost for n, cost in zip(counts, costs, strict=True)) <= budget
    )


@given(beliefs=BELIEFS, budget=st.integers(0, 6))
def test_with_equal_costs_no_allocation_is_better(beliefs: list[Belief], budget: int) -> None:
    counts = allocate(beliefs, budget)
    assert sum(counts) == budget
    assert solved(beliefs, counts) == pytest.approx(
        best(beliefs, budget, [1] * len(beliefs), 0, budget), abs=1e-12
    )


@given(beliefs=BELIEFS, budget=st.integers(4, 9), low=st.integers(0, 1), more=st.integers(0, 3))
def test_limits_of_every_call_are_kept_at_the_least_loss(
    beliefs: list[Belief], budget: int, low: int, more: int
) -> None:
    counts = allocate(beliefs, budget, minimum=low, maximum=low + more)
    assert all(low <= n <= low + more for n in counts)
    assert solved(beliefs, counts) == pytest.approx(
        best(beliefs, budget, [1] * len(beliefs), low, low + more), abs=1e-12
    )


@given(data=st.data(), beliefs=BELIEFS, budget=st.integers(0, 8))
def test_with_unequal_costs_it_is_within_one_gain_of_the_optimum(
    data: st.DataObject, beliefs: list[Belief], budget: int
) -> None:
    costs = data.draw(st.lists(st.integers(1, 5), min_size=len(beliefs), max_size=len(beliefs)))
    counts = allocate(beliefs, budget, costs=costs)
    assert sum(n * cost for n, cost in zip(counts, costs, strict=True)) <= budget
    rises = [solved([one], [n + 1]) - solved([one], [n]) for one, n in zip(beliefs, counts, strict=True)]
    assert solved(beliefs, counts) + max(rises) >= best(beliefs, budget, costs, 0, budget) - 1e-12


@given(beliefs=BELIEFS, floor=st.floats(0.01, 0.5))
def test_nothing_is_bought_under_the_floor_and_everything_above_it(
    beliefs: list[Belief], floor: float
) -> None:
    counts = allocate(beliefs, 400, costs=[2] * len(beliefs), floor=floor)
    for one, n in zip(beliefs, counts, strict=True):
        assert n == 0 or solved([one], [n]) - solved([one], [n - 1]) >= 2 * floor - 1e-9
        assert solved([one], [n + 1]) - solved([one], [n]) <= 2 * floor + 1e-9


@given(beliefs=BELIEFS, budget=st.integers(0, 12))
def test_a_larger_budget_takes_no_sample_away(beliefs: list[Belief], budget: int) -> None:
    small, large = allocate(beliefs, budget), allocate(beliefs, budget + 1)
    assert sorted(b - a for a, b in zip(small, large, strict=True)) == [0] * (len(beliefs) - 1) + [1]


def test_what_is_known_of_a_call_counts_and_not_only_its_mean() -> None:
    """Certain of 1/2 or torn between 0.01 and 0.99: the same mean, but a second sample tells only the first."""
    torn = Belief((0.01, 0.99), (0.5, 0.5))
    assert allocate([torn, *certain(0.5)], 4) == (1, 3)


def test_hopeless_calls_get_nothing_and_equal_calls_the_same() -> None:
    assert allocate(certain(1e-9, 0.5, 0.5), 8) == (0, 4, 4)
    assert allocate([belief.uniform()] * 3, 7) == (3, 2, 2)


def test_a_dear_call_has_to_promise_more() -> None:
    assert allocate(certain(0.5, 0.5), 8, costs=[1, 4]) == (4, 1)
    assert allocate(certain(0.1, 0.5), 5, costs=[1, 10]) == (5, 0)


def test_beliefs_are_worth_what_is_left_of_them_after_failures() -> None:
    """E[p (1 - p)^n] of a uniform belief is 1 / ((n + 1) (n + 2)): seven of them are worth 7 / 8."""
    counts = allocate([belief.uniform()], 7)
    value = fsum(1 / ((n + 1) * (n + 2)) for n in range(*counts))
    assert value == pytest.approx(7 / 8)
    assert solved([belief.uniform()], counts) == pytest.approx(7 / 8, abs=1e-3)


def test_nothing_to_allocate_and_nothing_to_gain_end() -> None:
    assert allocate([], 5) == ()
    assert allocate(certain(0.5), 0) == (0,)
    (count,) = allocate(certain(0.5), 1_000_000)
    assert 1000 < count < 1100  # then the gain is no longer a number above 0


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"costs": [1]}, "2 beliefs but 1 costs"),
        ({"costs": [0, 1]}, "a sample cannot cost 0"),
        ({"minimum": -1}, "minimum is -1, but must be at least 0"),
        ({"minimum": 3, "maximum": 2}, "maximum is 2, less than the minimum of 3"),
        ({"minimum": 6}, "6 samples for each of 2 calls cost 12, more than 5; raise it"),
        ({"minimum": 3}, "3 samples for each of 2 calls cost 6, more than 5; raise it"),
        ({"minimum": 1, "costs": [2, 4]}, "1 samples for each of 2 calls cost 6, more than 5"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused(limits: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        allocate(certain(0.5, 0.5), 5, **limits)  # type: ignore[arg-type]
