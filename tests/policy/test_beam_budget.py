from __future__ import annotations

from math import ceil, log

from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.policy.beam_budget import beam_fanout, beams_to_keep

lowers = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=16)
shapes = st.tuples(st.integers(1, 8), st.integers(1, 8))


def needed(p: float) -> float:
    return log(0.01) / log(1 - p)


@given(lowers, shapes)
def test_ias_of_k_is_the_first_k_of_the_papers_loop(lower: list[float], shape: tuple[int, int]) -> None:
    most, fanout = shape
    descending = sorted(lower)[::-1]
    k = 1
    while k < min(most, len(lower)) and k * fanout < ceil(needed(descending[k - 1])):
        k += 1
    assert beams_to_keep(lower, most * fanout, fanout) == k


@given(lowers, shapes)
def test_ias_of_m_is_the_least_fanout_that_reaches_the_need(
    lower: list[float], shape: tuple[int, int]
) -> None:
    most, fanout = shape
    fits = [m for m in range(1, fanout) if m >= needed(min(lower)) / most]
    assert beam_fanout(lower, most * fanout, fanout) == (fits[0] if fits else fanout)


def test_hopeless_and_certain_beams_stay_in_range() -> None:
    assert beams_to_keep([0.0] * 8, 64, 8) == 8
    assert beams_to_keep([1.0] * 8, 64, 8) == 1
    assert beam_fanout([0.0], 64, 8) == 8
    assert beam_fanout([1.0], 64, 8) == 1
