"""Fixed-N curves: the closed forms against brute force, and the share's definition against hand-made curves."""

from collections.abc import Sequence
from itertools import permutations
from math import comb, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from adaptive_middleware.strategies.select import Selection, calibrated_argmax, calibrated_vote, majority_vote
from adaptive_middleware.types import Candidate, Choice, Estimate, Path, StepScores, Verdict
from bench.allocation.curve import argmax_curve, costs_at, fixed_curve, majority_curve, vote_curve

SAMPLES = st.lists(
    st.tuples(st.sampled_from("abc-"), st.sampled_from([0.25, 0.5, 0.75])), min_size=1, max_size=5
)


def candidates(samples: list[tuple[str, float]]) -> list[Candidate]:
    """Candidates with an answer ('-' stands for none), and a score."""
    return [
        Candidate(
            Path((answer,)),
            StepScores((score,)),
            Estimate(score, score, score),
            None if answer == "-" else answer,
        )
        for answer, score in samples
    ]


def by_brute_force(shown: list[Candidate], right: list[bool], select: Selection) -> list[float]:
    orders = list(permutations(range(len(shown))))
    curve = []
    for n in range(1, len(shown) + 1):
        hits = [right[order[select([shown[i] for i in order[:n]]).index]] for order in orders]
        curve.append(sum(hits) / len(orders))
    return curve


@settings(max_examples=50)
@given(SAMPLES, st.integers(0, 15))
def test_the_majority_curve_is_the_mean_over_all_orders_of_the_ordinary_vote(
    samples: list[tuple[str, float]], flags: int
) -> None:
    shown, right = candidates(samples), [bool(flags >> i & 1) for i in range(len(samples))]
    curve = fixed_curve(shown, right, majority_vote, [], len(shown))
    assert curve == pytest.approx(by_brute_force(shown, right, majority_vote), abs=1e-12)


@settings(max_examples=50)
@given(SAMPLES, st.integers(0, 15))
def test_the_argmax_curve_is_the_mean_over_all_orders_of_the_ordinary_argmax(
    samples: list[tuple[str, float]], flags: int
) -> None:
    shown, right = candidates(samples), [bool(flags >> i & 1) for i in range(len(samples))]
    curve = fixed_curve(shown, right, calibrated_argmax, [], len(shown))
    assert curve == pytest.approx(by_brute_force(shown, right, calibrated_argmax), abs=1e-12)


@settings(max_examples=25)
@given(SAMPLES, st.integers(0, 15))
def test_any_other_selection_is_run_on_the_orders_themselves(
    samples: list[tuple[str, float]], flags: int
) -> None:
    shown, right = candidates(samples), [bool(flags >> i & 1) for i in range(len(samples))]
    orders = list(permutations(range(len(shown))))

    def custom(some: Sequence[Candidate]) -> Choice:
        return calibrated_vote(some)

    curve = fixed_curve(shown, right, custom, orders, len(shown))
    assert curve == pytest.approx(by_brute_force(shown, right, calibrated_vote), abs=1e-12)


@settings(max_examples=50)
@given(SAMPLES, st.integers(0, 15))
def test_the_weighted_votes_own_curve_is_the_ordinary_weighted_vote(
    samples: list[tuple[str, float]], flags: int
) -> None:
    shown, right = candidates(samples), [bool(flags >> i & 1) for i in range(len(samples))]
    keys = [one.answer or f"unanswered-{i}" for i, one in enumerate(shown)]
    orders = list(permutations(range(len(shown))))
    curve = vote_curve([score for _, score in samples], keys, right, orders, len(shown))
    assert curve == pytest.approx(by_brute_force(shown, right, calibrated_vote), abs=1e-12)


def test_the_weighted_vote_is_counted_on_enough_shuffles_to_be_near_its_mean() -> None:
    shown = candidates([("a", 0.75), ("b", 0.5), ("b", 0.25), ("c", 0.25)])
    right = [False, True, True, False]
    curve = fixed_curve(shown, right, calibrated_vote, [], 4)
    assert curve == pytest.approx(by_brute_force(shown, right, calibrated_vote), abs=0.05)
    assert curve[0] == pytest.approx(0.5)
    assert curve == fixed_curve(shown, right, calibrated_vote, [], 4)


def test_an_argmax_over_partly_scored_samples_is_run_on_the_orders() -> None:
    shown = candidates([("a", 0.8), ("b", 0.5), ("b", 0.2)])
    shown[0] = Candidate(shown[0].path, None, None, "a")
    right = [True, False, False]
    curve = fixed_curve(shown, right, calibrated_argmax, list(permutations(range(3))), 3)
    assert curve == pytest.approx(by_brute_force(shown, right, calibrated_argmax))


def test_verified_samples_give_the_unbiased_pass_at_n() -> None:
    shown = [Candidate(Path(("-",)), verdict=Verdict(i < 3)) for i in range(10)]
    curve = fixed_curve(shown, [i < 3 for i in range(10)], calibrated_argmax, [], 10)
    assert curve == pytest.approx([1 - comb(7, n) / comb(10, n) for n in range(1, 11)])


def test_two_answers_without_ties_are_a_hypergeometric_tail() -> None:
    curve = majority_curve([(12, 12), (9, 0)], 21)
    odd = {n: hypergeom(21, 12, n).sf(n // 2) for n in range(1, 22, 2)}
    assert [curve[n - 1] for n in odd] == pytest.approx(list(odd.values()), abs=1e-12)


def test_many_samples_keep_the_majority_curve_a_probability() -> None:
    curve = majority_curve([(60, 60), *[(1, 0)] * 60, (40, 20)], 64)
    assert curve[0] == pytest.approx(80 / 160)
    assert all(0 <= value <= 1 for value in curve)


def test_the_best_sample_of_n_is_found_with_chance_n_of_all() -> None:
    curve = argmax_curve([(float(i),) for i in range(10)], [i == 9 for i in range(10)], 10)
    assert curve == pytest.approx([n / 10 for n in range(1, 11)])


def cost(curve: list[float], accuracy: float) -> float:
    costs = np.arange(1.0, len(curve) + 1)[None] * 10
    return float(costs_at(np.asarray([curve]), costs, np.asarray([accuracy]))[0])


def test_an_accuracy_between_two_n_costs_what_lies_between_them() -> None:
    assert cost([0.5, 0.6, 0.8], 0.65) == pytest.approx(22.5)


def test_every_point_of_a_rising_curve_costs_what_its_n_costs() -> None:
    assert [cost([0.5, 0.6, 0.8], value) for value in (0.5, 0.6, 0.8)] == pytest.approx([10, 20, 30])


def test_a_dip_is_bridged_by_what_was_reached_before() -> None:
    assert cost([0.5, 0.7, 0.6, 0.8], 0.7) == pytest.approx(20)
    assert cost([0.5, 0.7, 0.6, 0.8], 0.75) == pytest.approx(35)


def test_a_plateau_costs_what_its_first_n_costs() -> None:
    assert cost([0.5, 0.5, 0.5, 0.6], 0.5) == pytest.approx(10)


def test_less_than_one_sample_cannot_be_bought() -> None:
    assert cost([0.5, 0.6], 0.1) == pytest.approx(10)


def test_beyond_the_end_there_is_no_price() -> None:
    assert cost([0.5, 0.6], 0.601) == inf


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0, 1), st.floats(0, 1))
def test_more_accuracy_never_costs_less(curve: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert cost(curve, low) <= cost(curve, high) + 1e-9
