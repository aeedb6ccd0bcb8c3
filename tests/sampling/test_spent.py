"""What answers cost: the provider's counts where they can be believed, and how often an endpoint in trouble is asked."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.sampling.retries import RetryBudget
from adaptive_middleware.sampling.spent import spent

COUNT = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.just("9") | st.floats(allow_nan=False)


@given(st.none() | st.fixed_dictionaries({}, optional={"prompt_tokens": COUNT, "completion_tokens": COUNT}))
def test_no_count_of_a_provider_becomes_negative_or_absurd_usage(said: dict[str, Any] | None) -> None:
    costs = spent(said, "four", ["one two", "x"], [0, 0])
    assert all(0 <= one.prompt_tokens <= 10**8 and 0 <= one.completion_tokens <= 10**8 for one in costs)
    assert sum(one.requests for one in costs) == 1
    assert costs[0].prompt_tokens >= 1


@pytest.mark.parametrize(
    ("said", "counted", "prompt", "completions", "estimated"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 5}, [0, 0], 7, [3, 2], False),
        ({"prompt_tokens": 7, "completion_tokens": 5}, [4, 1], 7, [4, 1], False),
        ({"prompt_tokens": 7}, [4, 1], 7, [4, 1], False),
        ({"prompt_tokens": 7}, [0, 0], 7, [2, 1], True),
        ({"prompt_tokens": -7, "completion_tokens": 5}, [0, 0], 1, [2, 1], True),
        ({"prompt_tokens": 7, "completion_tokens": 10**9}, [0, 0], 1, [2, 1], True),
        (None, [0, 0], 1, [2, 1], True),
    ],
)
def test_what_is_missing_or_cannot_be_is_reckoned_and_marked(
    said: dict[str, Any] | None, counted: list[int], prompt: int, completions: list[int], estimated: bool
) -> None:
    costs = spent(said, "four", ["one two", "x"], counted)
    assert (costs[0].prompt_tokens, costs[1].prompt_tokens) == (prompt, 0)
    assert [one.completion_tokens for one in costs] == completions
    assert {one.estimated for one in costs} == {estimated}


@given(st.lists(st.booleans(), max_size=300))
def test_retries_are_at_most_ten_and_a_tenth_of_what_was_answered(answered: list[bool]) -> None:
    budget = RetryBudget()
    taken = 0
    for one in answered:
        if one:
            budget.answered()
        else:
            taken += budget.take()
    assert taken <= 10 + sum(answered) / 10 + 1e-9


def test_answered_requests_earn_retries_back() -> None:
    budget = RetryBudget(most=2.0)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    for _ in range(11):
        budget.answered()
    assert [budget.take() for _ in range(2)] == [True, False]


def test_a_copy_of_a_budget_begins_anew() -> None:
    budget = RetryBudget(most=1.0)
    budget.take()
    assert copy.deepcopy(budget).take()
    assert pickle.loads(pickle.dumps(budget)).take()  # noqa: S301 - our own bytes
