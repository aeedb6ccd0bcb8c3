from __future__ import annotations

import sys
from fractions import Fraction
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.budget.prices import Price, Prices, unpriced
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.types import Usage

MANY = Usage(prompt_tokens=1_000_000, completion_tokens=1_000_000)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 2 * 10**6))
def test_a_usage_costs_what_its_tokens_cost(prompt: int, completion: int, cached: int) -> None:
    price = Price(prompt=3.0, completion=15.0, cached=0.3)
    read = min(cached, prompt)
    exact = (prompt - read) * 3 + read * Fraction(3, 10) + completion * 15
    assert 0 <= price.of(Usage(prompt, completion, cached)) - exact < 1


def test_without_a_price_of_their_own_cached_tokens_cost_what_others_do() -> None:
    usage = Usage(prompt_tokens=100, cached_tokens=60)
    assert Price(prompt=2.0, completion=0.0).of(usage) == 200


@pytest.mark.parametrize("bad", [nan, inf, -0.1, 2e6])
@pytest.mark.parametrize("key", ["prompt", "completion", "cached"])
def test_a_price_that_cannot_be_true_is_refused(key: str, bad: float) -> None:
    with pytest.raises(ConfigError, match=f"price of {key} tokens"):
        Price(**{"prompt": 1.0, "completion": 1.0, key: bad})


def test_the_users_table_comes_first_and_its_first_fitting_name_counts() -> None:
    table = {"my-*": Price(1.0, 0.0), "my-model": Price(9.0, 0.0), "gpt-4o-mini": Price(0.0, 0.0)}
    prices = Prices(table)
    assert prices("my-model", MANY) == 1_000_000
    assert prices("gpt-4o-mini", MANY) == 0


def test_published_prices_are_known_where_genai_prices_is_installed() -> None:
    genai_prices = pytest.importorskip("genai_prices")
    usage = Usage(prompt_tokens=1_000_000, completion_tokens=500_000, cached_tokens=250_000)
    counted = genai_prices.Usage(input_tokens=1_000_000, output_tokens=500_000, cache_read_tokens=250_000)
    published = genai_prices.calc_price(counted, model_ref="gpt-4o-mini").total_price
    assert Prices()("gpt-4o-mini", usage) == published * 10**6
    assert Prices()("no-such-model-7", usage) is None


def test_published_prices_are_unknown_where_they_are_not_wanted_or_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Prices(known=False)("gpt-4o-mini", MANY) is None
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert Prices()("gpt-4o-mini", MANY) is None


def test_without_prices_nothing_has_one() -> None:
    assert unpriced("gpt-4o-mini", MANY) is None
