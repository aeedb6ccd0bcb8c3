from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainc

from adaptive_middleware.belief import uniform
from adaptive_middleware.policy import stays_leader
from adaptive_middleware.policy.weighted import overtaken, weighted_agreement
from adaptive_middleware.types import Candidate, Estimate, Path, State, Usage

WEIGHT = st.floats(0, 2000)


@given(WEIGHT, WEIGHT)
def test_the_chance_to_be_overtaken_is_the_incomplete_beta_function(first: float, second: float) -> None:
    assert overtaken(first, second) == pytest.approx(float(betainc(first + 1, second + 1, 0.5)), abs=1e-11)


@given(st.integers(0, 40), st.integers(0, 40))
def test_whole_weights_give_the_beta_rule_of_votes(first: int, second: int) -> None:
    assert overtaken(first, second) == pytest.approx(1 - stays_leader(first, second), abs=1e-11)


def state(*candidates: tuple[str | None, float | None], tokens: int = 100) -> State:
    usage = Usage(completion_tokens=tokens)
    known = tuple(
        Candidate(Path(("x",), usage=usage), None, None if p is None else Estimate(p, p, p), answer)
        for answer, p in candidates
    )
    return State(known, uniform(), 64)


def test_the_first_sample_is_always_drawn() -> None:
    assert weighted_agreement(1.0)(state()).more == 1


def test_weights_are_sums_of_calibrated_probabilities_by_answer() -> None:
    numbers = weighted_agreement()(
        state(("a", 0.5), ("b", 0.7), ("a", 0.4), (None, 0.2), (None, 0.2))
    ).numbers
    assert numbers["first"] == pytest.approx(0.9)
    assert numbers["second"] == pytest.approx(0.7)
    assert numbers["turns"] == pytest.approx(float(betainc(1.9, 1.7, 0.5)) / 5)


def test_without_estimates_votes_are_counted() -> None:
    numbers = weighted_agreement()(state(("a", None), ("a", None), ("b", None))).numbers
    assert (numbers["first"], numbers["second"]) == (2, 1)


def test_a_unanimous_vote_of_likely_answers_ends_the_call_sooner_than_one_of_unlikely_ones() -> None:
    likely, unlikely = (state(*[("a", p)] * 3) for p in (0.95, 0.05))
    policy = weighted_agreement(0.05)
    assert policy(likely).more == 0
    assert policy(unlikely).more == 1


def test_a_hopeless_spread_of_answers_is_given_up_in_the_end() -> None:
    policy = weighted_agreement(0.03)
    drawn = next(n for n in range(1, 64) if not policy(state(*[(str(i), 0.05) for i in range(n)])).more)
    assert 10 < drawn < 20


def test_long_answers_have_to_promise_more() -> None:
    policy = weighted_agreement(0.05, per_tokens=500)
    spread = [("a", 0.4), ("b", 0.4)]
    assert policy(state(*spread, tokens=100)).more == 1
    assert policy(state(*spread, tokens=5000)).more == 0


def test_the_window_is_drawn_at_once() -> None:
    assert weighted_agreement(window=4)(state(("a", 0.4))).more == 4


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 1)), min_size=1, max_size=10), st.floats(0, 1))
def test_a_higher_price_never_draws_more(samples: list[tuple[str, float]], price: float) -> None:
    known = state(*samples)
    assert weighted_agreement(price)(known).more <= weighted_agreement(price / 2)(known).more


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 1)), min_size=1, max_size=10), st.floats(0, 1))
def test_a_leader_that_is_right_anyway_is_worth_less_to_turn(
    samples: list[tuple[str, float]], right: float
) -> None:
    known = state(*samples)
    plain = weighted_agreement()(known).numbers["turns"]
    told = weighted_agreement(by_votes=lambda _: right)(known).numbers["turns"]
    assert told == pytest.approx(plain * (1 - right))


def test_votes_are_handed_over_as_counts() -> None:
    seen: list[tuple[int, ...]] = []

    def by_votes(counts: Sequence[int]) -> float:
        seen.append(tuple(counts))
        return 0.5

    known = replace(state(("a", None), ("a", None), ("b", None)), votes=(2, 1))
    weighted_agreement(by_votes=by_votes)(known)
    assert seen == [(2, 1)]
