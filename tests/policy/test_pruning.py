from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.belief import uniform
from adaptive_middleware.policy.gain import gain
from adaptive_middleware.policy.pruning import worth_finishing
from adaptive_middleware.types import Candidate, Choice, Estimate, Path, State, Usage


def open_answer(p: float | None, tokens: int = 10, steps: int = 2) -> Candidate:
    path = Path(("x",) * steps, done=False, usage=Usage(completion_tokens=tokens))
    return Candidate(path, estimate=None if p is None else Estimate(p, p, p))


def state(leader: float | None = None, lengths: tuple[int, ...] = ()) -> State:
    done = tuple(Candidate(Path(("x",), usage=Usage(completion_tokens=n))) for n in lengths)
    choice = None if leader is None else Choice(0, leader, "calibrated argmax")
    return State(done, uniform(), 16, leader=choice)


def test_an_answer_that_cannot_beat_the_leader_is_dropped() -> None:
    decision = worth_finishing()(state(0.9, (100,)), open_answer(0.01))
    assert decision.more == 0
    assert "dropped after 2 steps" in decision.because


def test_a_promising_answer_is_read_on() -> None:
    assert worth_finishing()(state(0.3, (100,)), open_answer(0.8)).more == 1


def test_an_answer_without_an_estimate_is_read_on() -> None:
    assert worth_finishing()(state(0.9, (100,)), open_answer(None)).more == 1


def test_gain_and_price_are_the_formula_of_the_docstring() -> None:
    rule = worth_finishing(give_up=0.02, per_tokens=40, sharpness=1.5, impatience=3.0)
    numbers = rule(state(0.4, (60, 80)), open_answer(0.2, tokens=25)).numbers
    assert numbers["missing"] == 70 - 25
    assert numbers["price"] == 3.0 * 0.02 * 45 / 40
    assert numbers["gain"] == gain(0.4, 0.2, 0.2, 1.5)


def test_before_any_answer_is_finished_per_tokens_stands_for_the_length() -> None:
    assert worth_finishing(per_tokens=40)(state(), open_answer(0.2, tokens=25)).numbers["missing"] == 15


def test_at_least_one_more_step_is_missing() -> None:
    assert worth_finishing()(state(0.4, (10,)), open_answer(0.2, tokens=90, steps=3)).numbers["missing"] == 30


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.01, 0.98))
def test_a_better_answer_is_never_dropped_where_a_worse_one_is_kept(
    a: float, b: float, leader: float
) -> None:
    low, high = sorted((a, b))
    rule = worth_finishing(give_up=0.05, per_tokens=40)
    known = state(leader, (40,))
    assert rule(known, open_answer(high)).more >= rule(known, open_answer(low)).more
