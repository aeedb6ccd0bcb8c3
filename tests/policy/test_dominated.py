from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.belief import uniform
from adaptive_middleware.policy.dominated import dominated
from adaptive_middleware.types import Candidate, Choice, Estimate, Path, State

unit = st.floats(0, 1)


def answer(lower: float, upper: float) -> Candidate:
    return Candidate(Path(("x", "y")), estimate=Estimate((lower + upper) / 2, lower, upper))


def known(leader: Candidate | None) -> State:
    if leader is None:
        return State((), uniform(), 16)
    return State((answer(0, 0), leader), uniform(), 16, leader=Choice(1, 0.5, "calibrated argmax"))


@given(unit, unit, unit)
def test_dropped_exactly_under_the_leaders_lower_quantile_or_the_give_up(
    upper: float, lower: float, give_up: float
) -> None:
    decision = dominated(give_up)(known(answer(lower, 1.0)), answer(0.0, upper))
    assert (decision.more == 0) == (upper < lower or upper < give_up)


@pytest.mark.parametrize("leader", [None, Candidate(Path(("x",)))])
def test_without_the_leaders_estimate_only_the_give_up_decides(leader: Candidate | None) -> None:
    rule = dominated(give_up=0.2)
    assert rule(known(leader), answer(0.0, 0.1)).more == 0
    assert rule(known(leader), answer(0.0, 0.2)).more == 1


def test_an_answer_without_an_estimate_is_read_on() -> None:
    assert dominated()(known(answer(0.9, 1.0)), Candidate(Path(("x",)))).more == 1


def test_the_reason_names_the_numbers() -> None:
    decision = dominated()(known(answer(0.6, 0.9)), answer(0.1, 0.3))
    assert decision.because == "dropped after 2 steps: upper 0.300 < 0.600"
    assert decision.numbers == {"upper": 0.3, "floor": 0.6}
