from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil, inf, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import betainc, expit

from adaptive_middleware.belief import uniform
from adaptive_middleware.policy import (
    agreement,
    fixed,
    gain,
    instance_adaptive,
    optimal_stopping,
    samples_needed,
    stays_leader,
)
from adaptive_middleware.policy.gain import _NORMAL
from adaptive_middleware.testing import answer
from adaptive_middleware.types import Belief, Candidate, Choice, Decision, Estimate, State, Verdict

PROBABILITY = st.floats(0, 1)


def state(
    drawn: int = 0,
    *,
    question: Estimate | None = None,
    leader: float | None = None,
    votes: tuple[int, ...] = (),
    belief: Belief | None = None,
    base_rate: float = 0.5,
    tokens: int = 1,
) -> State:
    candidates = tuple(Candidate(answer(str(i), tokens=tokens)) for i in range(drawn))
    choice = Choice(0, leader, "test") if drawn else None
    return State(candidates, belief or uniform(), 64, question, choice, votes, base_rate)


def certain(p: float) -> Belief:
    return Belief((p,), (1.0,))


@pytest.mark.parametrize(
    ("p", "n"),
    # Park et al. 2025 at C = 0.99; the last row is the clip at 1e-4.
    [
        (0.99, 1),
        (0.9, 2),
        (0.75, 4),
        (0.5, 7),
        (0.3, 13),
        (0.2, 21),
        (0.1, 44),
        (0.05, 90),
        (0.01, 459),
        (1e-4, 46_050),
    ],
)
def test_samples_needed_equals_the_published_table(p: float, n: int) -> None:
    assert samples_needed(p, 0.99) == n


@given(p=st.floats(1e-4, 1 - 1e-4), confidence=st.floats(0.01, 0.999))
def test_samples_needed_is_the_smallest_n_that_reaches_the_confidence(p: float, confidence: float) -> None:
    n = samples_needed(p, confidence)
    assert 1 - (1 - p) ** n >= confidence - 1e-9
    assert n == 1 or 1 - (1 - p) ** (n - 1) <= confidence + 1e-9


@given(p=PROBABILITY, q=PROBABILITY)
def test_samples_needed_never_asks_more_for_an_easier_call(p: float, q: float) -> None:
    easy, hard = max(p, q), min(p, q)
    assert samples_needed(easy, 0.99) <= samples_needed(hard, 0.99)


@pytest.mark.parametrize("p", [0.0, 5e-324, 1e-308, 1.0])
def test_samples_needed_is_clipped_at_both_ends(p: float) -> None:
    expected = 46_050 if p < 0.5 else 1
    assert samples_needed(p, 0.99) == expected


@given(first=st.integers(0, 40), second=st.integers(0, 40))
def test_stays_leader_equals_the_incomplete_beta_function(first: int, second: int) -> None:
    expected = 1 - float(betainc(first + 1, second + 1, 0.5))
    assert stays_leader(first, second) == pytest.approx(expected, abs=1e-12)


def test_stays_leader_is_exact_for_small_counts() -> None:
    assert stays_leader(2, 1) == float(1 - Fraction(1 + 4, 16))


@given(n=st.integers(1, 64), drawn=st.integers(0, 64))
def test_fixed_asks_for_what_is_missing_to_n(n: int, drawn: int) -> None:
    assert fixed(n)(state(drawn)).more == max(n - drawn, 0)


@given(lower=PROBABILITY, cap=st.integers(1, 64), drawn=st.integers(0, 64))
def test_instance_adaptive_is_the_papers_rule_on_the_lower_quantile(
    lower: float, cap: int, drawn: int
) -> None:
    clipped = min(max(lower, 1e-4), 1 - 1e-4)
    paper = min(ceil(log(1 - 0.99) / log(1 - clipped)), cap)
    decision = instance_adaptive(0.99, cap)(state(drawn, question=Estimate(1.0, lower, 1.0)))
    assert decision.more == max(paper - drawn, 0)
    assert str(drawn) in decision.because


def test_instance_adaptive_says_when_the_cap_cut_it() -> None:
    decision = instance_adaptive(0.99, 16)(state(question=Estimate(0.5, 0.01, 0.9)))
    assert "459 samples, capped at 16" in decision.because


def test_instance_adaptive_without_an_estimate_takes_the_whole_cap() -> None:
    assert instance_adaptive(cap=9)(state(2)).more == 7


@pytest.mark.parametrize(
    ("votes", "more"), [((), 1), ((1,), 1), ((3,), 1), ((4,), 0), ((3, 1), 1), ((6, 1), 0), ((5, 1), 1)]
)
def test_agreement_stops_when_the_leader_stays_ahead(votes: tuple[int, ...], more: int) -> None:
    assert agreement(0.95)(state(sum(votes), votes=votes)).more == more


def test_agreement_draws_its_window() -> None:
    assert agreement(window=4)(state()).more == 4


def test_optimal_stopping_draws_one_probe_first() -> None:
    assert optimal_stopping(window=4)(state()).more == 1


def test_optimal_stopping_stops_at_the_target() -> None:
    decision = optimal_stopping(target=0.9)(state(1, leader=0.9, belief=certain(0.5)))
    assert decision.more == 0
    assert "0.900 >= 0.9" in decision.because


@given(leader=st.floats(0, 0.94), chance=st.floats(0.001, 0.999), base=st.floats(0.01, 0.99))
def test_optimal_stopping_gives_up_exactly_when_the_gain_is_under_its_price(
    leader: float, chance: float, base: float
) -> None:
    expected = gain(leader, chance, base, 1.5)
    decision = optimal_stopping(give_up=0.05, window=3, sharpness=1.5)(
        state(2, leader=leader, belief=certain(chance), base_rate=base)
    )
    assert decision.more == (0 if expected < 0.05 else 3)
    assert decision.numbers["gain"] == expected


def test_a_price_per_tokens_makes_long_answers_promise_more() -> None:
    policy = optimal_stopping(give_up=0.1, per_tokens=10, sharpness=inf)
    short = state(2, leader=0.5, belief=certain(0.4), tokens=10)
    long = state(2, leader=0.5, belief=certain(0.4), tokens=30)
    assert policy(short).numbers["price"] == pytest.approx(0.1)
    assert policy(long).numbers["price"] == pytest.approx(0.3)
    assert policy(short).more == 1
    assert policy(long).more == 0


def test_verified_samples_are_a_perfect_judge() -> None:
    failed = replace(
        state(1, leader=0.0, belief=certain(0.3)),
        candidates=(Candidate(answer("5"), verdict=Verdict(False)),),
    )
    assert optimal_stopping(sharpness=0.1)(failed).numbers["gain"] == pytest.approx(0.3)


def test_verdicts_that_could_not_tell_are_no_judge_at_all() -> None:
    scored = state(1, leader=0.4, belief=certain(0.3))
    undecided = replace(scored, candidates=(Candidate(answer("5"), verdict=Verdict(None)),))
    policy = optimal_stopping(sharpness=0.1)
    assert policy(undecided).numbers["gain"] == policy(scored).numbers["gain"]


@given(leader=st.floats(0, 0.95), chance=PROBABILITY, base=st.floats(0.02, 0.98), sharpness=st.floats(0.2, 3))
@settings(max_examples=30)
def test_gain_is_the_expected_improvement_under_signal_detection(
    leader: float, chance: float, base: float, sharpness: float
) -> None:
    def rise(log_ratio: float) -> float:
        return max(float(expit(log(base / (1 - base)) + log_ratio)) - leader, 0.0)

    half = sharpness**2 / 2
    exact = chance * stats.norm(half, sharpness).expect(rise) + (1 - chance) * stats.norm(
        -half, sharpness
    ).expect(rise)
    assert gain(leader, chance, base, sharpness) == pytest.approx(exact, abs=0.012)


@given(leader=PROBABILITY, chance=PROBABILITY, base=PROBABILITY, sharpness=st.floats(0, 1e6))
def test_gain_is_a_probability_and_falls_as_the_leader_rises(
    leader: float, chance: float, base: float, sharpness: float
) -> None:
    gains = [gain(p, chance, base, sharpness) for p in (leader, (leader + 1) / 2, 1.0)]
    assert 1 >= gains[0] >= gains[1] >= gains[2] == 0.0


@given(leader=PROBABILITY, chance=PROBABILITY)
def test_a_perfect_judge_gains_what_the_leader_lacks(leader: float, chance: float) -> None:
    assert gain(leader, chance, 0.5, inf) == (1 - leader) * chance


def test_the_fifteen_points_are_equally_likely_under_the_normal() -> None:
    assert list(_NORMAL) == pytest.approx(list(stats.norm.ppf([(i + 0.5) / 15 for i in range(15)])), abs=1e-5)


def test_optimal_stopping_without_scores_is_the_vote_rule() -> None:
    unscored = state(4, leader=None, votes=(4,))
    assert optimal_stopping(0.95)(unscored) == agreement(0.95)(unscored)


def test_optimal_stopping_asks_for_the_first_sample_however_hopeless_the_call() -> None:
    assert optimal_stopping(give_up=0.5)(state(belief=certain(0.001))).more == 1


def test_every_decision_carries_words_and_numbers() -> None:
    for policy in (instance_adaptive(), agreement(), optimal_stopping()):
        decision = policy(state(2, question=Estimate(0.5, 0.4, 0.6), leader=0.5, votes=(2,)))
        assert isinstance(decision, Decision)
        assert decision.because
        assert decision.numbers
