"""What a draw costs, counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.policy import Prices, draw_cost
from adaptive_middleware.types import Usage

PRICES = Prices(completion=1.0, prompt=0.5, cached=0.1, prm=0.2, call=7.0)
COUNT = st.integers(0, 500)
USAGE = st.builds(
    Usage,
    prompt_tokens=COUNT,
    completion_tokens=COUNT,
    cached_tokens=COUNT,
    prm_tokens=COUNT,
    requests=st.just(1),
)


def test_every_sort_of_token_has_its_price() -> None:
    past = [
        Usage(prompt_tokens=100, completion_tokens=30, prm_tokens=50, requests=1),
        Usage(prompt_tokens=100, completion_tokens=10, cached_tokens=80, prm_tokens=30, requests=1),
    ]
    once = 0.5 * 20 + 0.1 * 80
    assert draw_cost(PRICES, past, 1) == pytest.approx(7 + once + 20 + 0.2 * 40)
    assert draw_cost(PRICES, past, 3) == pytest.approx(7 + once + 3 * (20 + 0.2 * 40))
    assert draw_cost(PRICES, past, 3, requests=3) == pytest.approx(7 + 3 * once + 3 * (20 + 0.2 * 40))
    assert draw_cost(PRICES, past, 1, first=True) == pytest.approx(7 + 50 + 20 + 0.2 * 40)


def test_a_prompt_that_several_answers_shared_is_one_prompt() -> None:
    """Adapters put the prompt of a request with n > 1 on its first answer."""
    past = [Usage(prompt_tokens=90, completion_tokens=10, requests=1), Usage(completion_tokens=20)]
    assert draw_cost(Prices(prompt=1.0), past, 1) == 90 + 15


def test_by_default_only_completion_tokens_cost() -> None:
    past = [Usage(prompt_tokens=90, completion_tokens=10, cached_tokens=5, prm_tokens=70, requests=1)]
    assert draw_cost(Prices(), past, 4) == 40


def test_without_a_past_only_the_round_trip_is_known() -> None:
    assert draw_cost(PRICES, [], 3, first=True) == 7


@given(past=st.lists(USAGE, max_size=4), k=st.integers(1, 20))
def test_at_once_costs_one_at_a_time_less_the_repeated_prompts_and_waits(past: list[Usage], k: int) -> None:
    alone, free = draw_cost(PRICES, past, 1), draw_cost(Prices(prm=0.2), past, 1)
    assert draw_cost(PRICES, past, k) == pytest.approx(k * alone - (k - 1) * (alone - free))


@given(past=st.lists(USAGE, min_size=1, max_size=4), k=st.integers(1, 20))
def test_a_cold_cache_never_costs_less(past: list[Usage], k: int) -> None:
    assert draw_cost(PRICES, past, k, first=True) >= draw_cost(PRICES, past, k) - 1e-9
