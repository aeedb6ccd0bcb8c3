from __future__ import annotations

from fractions import Fraction
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.budget.amounts import MOST, Amounts, checked, micro_dollars
from adaptive_middleware.errors import UsageRefused
from adaptive_middleware.types import Usage

COUNTS = st.builds(Amounts, *[st.integers(0, 10**6)] * 4)


@given(COUNTS, COUNTS)
def test_amounts_add_and_compare_unit_by_unit(one: Amounts, other: Amounts) -> None:
    for unit in ("tokens", "requests", "usd", "prm_ms"):
        assert (one + other).of(unit) == one.of(unit) + other.of(unit)
        assert one.at_least(other).of(unit) == max(one.of(unit), other.of(unit))


@pytest.mark.parametrize("bad", [-1, MOST + 1, True, 1.5, nan, "7", None])
def test_what_is_no_count_is_refused_by_name(bad: object) -> None:
    with pytest.raises(UsageRefused, match="tokens is"):
        Amounts(tokens=bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "usage",
    [
        Usage(prompt_tokens=-1),
        Usage(completion_tokens=10**8 + 1),
        Usage(requests=-3),
        Usage(completion_tokens=nan),  # type: ignore[arg-type]
        Usage(usd=-0.01),
        Usage(usd=nan),
        Usage(usd=inf),
        Usage(usd=1e10),
    ],
)
def test_a_usage_that_cannot_be_true_is_refused(usage: Usage) -> None:
    with pytest.raises(UsageRefused):
        checked(usage)


def test_a_usage_that_can_be_true_is_taken_as_it_is() -> None:
    usage = Usage(prompt_tokens=10**8, completion_tokens=3, requests=1, usd=0.5)
    assert checked(usage) is usage


@given(st.fractions(0, 1000))
def test_micro_dollars_are_rounded_up_by_less_than_one(usd: Fraction) -> None:
    counted = micro_dollars(usd)
    assert 0 <= counted - usd * 10**6 < 1


def test_a_price_in_binary_is_taken_as_it_is_written() -> None:
    assert micro_dollars(0.07) == 70_000
    assert micro_dollars(1.1) == 1_100_000
