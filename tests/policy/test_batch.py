from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit
from scipy.stats import norm

from adaptive_middleware.belief import after_verdict, uniform
from adaptive_middleware.policy import optimal_stopping
from adaptive_middleware.policy.batch import batch_size, chance_after, useful
from adaptive_middleware.policy.gain import reaches
from adaptive_middleware.policy.prices import Prices
from adaptive_middleware.testing import answer
from adaptive_middleware.types import Belief, Candidate, Choice, Path, State, StepScores, Usage


def state(*usages: Usage, leader: float = 0.3, scored: int = 0) -> State:
    paths = tuple(Path(("x",), usage=usage) for usage in usages)
    scores = StepScores((0.5,), tokens=scored)
    candidates = tuple(Candidate(path, scores=scores) for path in paths)
    return State(candidates, uniform(), 64, leader=Choice(0, leader, "calibrated argmax"))


@given(st.integers(1, 30), st.floats(0.01, 0.99))
def test_useful_samples_are_the_expected_draws_of_a_truncated_geometric(k: int, ends: float) -> None:
    stopped = sum(j * ends * (1 - ends) ** (j - 1) for j in range(1, k))
    assert useful(k, ends) == pytest.approx(stopped + k * (1 - ends) ** (k - 1))


@given(st.floats(0, 500), st.floats(1, 100), st.floats(0, 1), st.integers(1, 12))
def test_no_other_batch_is_cheaper_per_useful_sample(
    prompt: float, each: float, ends: float, most: int
) -> None:
    def cost(k: int) -> float:
        return prompt + each * k

    chosen = batch_size(cost, ends, most)
    least = cost(chosen) / useful(chosen, ends)
    assert all(least * (1 - 1e-9) <= cost(k) / useful(k, ends) * (1 + 1e-12) for k in range(1, most + 1))


@given(st.floats(0, 1), st.integers(1, 12))
def test_where_nothing_is_shared_samples_are_drawn_one_at_a_time(ends: float, most: int) -> None:
    assert batch_size(lambda k: 10.0 * k, ends, most) == 1


@given(st.integers(0, 20))
def test_the_chance_after_failures_is_that_of_the_updated_belief(failures: int) -> None:
    belief = uniform()
    for _ in range(failures):
        belief = after_verdict(belief, passed=False)
    assert chance_after(uniform(), failures) == pytest.approx(belief.mean, abs=1e-9)


@given(st.floats(0.01, 0.99), st.floats(0, 1), st.floats(0.01, 0.99), st.floats(0.2, 4))
def test_the_chance_to_reach_the_target_is_the_normal_tail(
    target: float, chance: float, base: float, d: float
) -> None:
    needed = float(logit(target) - logit(base))
    expected = chance * norm.sf(needed, d * d / 2, d) + (1 - chance) * norm.sf(needed, -d * d / 2, d)
    assert reaches(target, chance, base, d) == pytest.approx(float(expected), abs=1e-9)


def test_a_perfect_judge_reaches_the_target_with_every_right_sample() -> None:
    assert reaches(0.9, 0.37, 0.5, inf) == 0.37


SHORT = Usage(prompt_tokens=20, completion_tokens=200, requests=1)
LONG_PROMPT = Usage(prompt_tokens=4000, completion_tokens=20, requests=1)


def test_a_dear_prompt_is_paid_once_for_several_samples() -> None:
    policy = optimal_stopping(0.95, 0.001, 8, per_tokens=500, prices=Prices(prompt=0.25))
    assert policy(state(LONG_PROMPT)).more > policy(state(SHORT)).more


def test_a_round_trip_that_costs_nothing_keeps_drawing_one_at_a_time() -> None:
    assert optimal_stopping(0.95, 0.001, 8, per_tokens=500, prices=Prices())(state(LONG_PROMPT)).more == 1


def test_waiting_counts_like_tokens() -> None:
    policy = optimal_stopping(0.95, 0.001, 8, per_tokens=500, prices=Prices(call=2000))
    assert policy(state(SHORT)).more > 1


def test_no_sample_of_a_batch_is_drawn_under_its_price() -> None:
    hopeless_or_easy = Belief((0.001, 0.6), (0.5, 0.5))
    known = replace(state(SHORT, leader=0.1), belief=hopeless_or_easy, base_rate=0.3)

    def drawn(price: float) -> int:
        policy = optimal_stopping(0.999, price, 32, per_tokens=500, prices=Prices(call=400), sharpness=3.0)
        return policy(known).more

    assert drawn(1e-6) > drawn(0.1) > 1
    assert drawn(5.0) == 0


def test_process_reward_model_tokens_make_a_sample_dearer() -> None:
    cheap = optimal_stopping(0.95, 0.05, per_tokens=500, prices=Prices())
    counted = optimal_stopping(0.95, 0.05, per_tokens=500, prices=Prices(prm=0.5))
    known = state(SHORT, scored=1000)
    assert cheap(known).numbers["price"] == pytest.approx(0.05 * 200 / 500)
    assert counted(known).numbers["price"] == pytest.approx(0.05 * (200 + 500) / 500)


def test_without_prices_the_window_is_the_window() -> None:
    known = State((Candidate(answer("x")),), uniform(), 64, leader=Choice(0, 0.3, "calibrated argmax"))
    assert optimal_stopping(window=3)(known).more == 3
