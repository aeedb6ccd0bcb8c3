"""Cross-fitted settings: cheapest that is accurate enough, and blind to the problems they are judged on."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptive_middleware.calibration.conformal import folds as dealt
from bench.allocation.crossfit import choose, crossfitted, folds, held_out

IDS = [f"p{i}" for i in range(23)]


def test_folds_are_those_of_the_calibration() -> None:
    assert folds(IDS, seed=3).tolist() == [dealt(IDS, 10, 3)[one] for one in IDS]


def test_no_fold_is_empty_with_few_problems() -> None:
    assert sorted(folds(IDS[:4]).tolist()) == [0, 1, 2, 3]


def test_the_cheapest_accurate_enough_setting_is_chosen_not_the_most_accurate() -> None:
    assert choose(np.array([0.9, 0.7, 0.6]), np.array([9.0, 5.0, 1.0]), 0.7) == 1


def test_without_an_accurate_enough_setting_the_most_accurate_is_chosen_and_the_cheapest_of_those() -> None:
    assert choose(np.array([0.5, 0.6, 0.6]), np.array([1.0, 9.0, 5.0]), 0.7) == 2


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(0, 22))
def test_no_problem_has_a_say_in_the_setting_it_is_judged_with(seed: int, index: int) -> None:
    rng = np.random.default_rng(seed)
    fold_of = folds(IDS)
    accuracy, cost = rng.random((1, 7, 23)), rng.random((1, 7, 23))
    target = rng.random(23)
    before = crossfitted(accuracy, cost, target, fold_of)[fold_of[index]]
    own = fold_of == fold_of[index]
    accuracy[..., own], cost[..., own], target[own] = rng.random(3) * 100
    assert crossfitted(accuracy, cost, target, fold_of)[fold_of[index]] == before


def test_other_problems_have_a_say() -> None:
    fold_of = np.array([0, 1])
    accuracy, cost = np.array([[[1.0, 0.0], [1.0, 1.0]]]), np.array([[[1.0, 1.0], [2.0, 2.0]]])
    assert crossfitted(accuracy, cost, np.array([1.0, 1.0]), fold_of).tolist() == [1, 0]


def test_a_rule_that_learns_is_chosen_and_judged_with_the_fit_that_lacks_the_fold() -> None:
    fold_of = np.array([0, 1])
    accuracy = np.ones((2, 2, 2))
    cost = np.array([[[0.0, 1.0], [0.0, 2.0]], [[2.0, 0.0], [1.0, 0.0]]])
    chosen = crossfitted(accuracy, cost, np.ones(2), fold_of)
    assert chosen.tolist() == [0, 1]
    assert held_out(np.arange(8.0).reshape(2, 2, 2), chosen, fold_of).tolist() == [0.0, 7.0]


def test_held_out_takes_each_problem_under_its_own_folds_setting() -> None:
    figures = np.array([[[[1.0, 10.0], [2.0, 20.0]], [[3.0, 30.0], [4.0, 40.0]]]])
    assert held_out(figures, np.array([1, 0]), np.array([0, 1])).tolist() == [[3.0, 30.0], [2.0, 20.0]]
