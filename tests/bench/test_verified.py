"""Verified pools: closed forms, brute force and the published figures of uniform caps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from adaptive_middleware.belief import after_verdict, uniform
from adaptive_middleware.policy import allocate
from adaptive_middleware.recording import Problem, RecordedSample
from adaptive_middleware.types import Belief
from bench.allocation import verified
from bench.allocation.crossfit import folds
from bench.allocation.recordings import Pool, Source
from bench.allocation.verified import Tries, figures, give_up, greedy, survival, worth


def pool(*counts: tuple[int, int], question_tokens: int | None = 7) -> Pool:
    problems = tuple(
        Problem(str(i), "q", n=total, n_correct=right, question_tokens=question_tokens)
        for i, (right, total) in enumerate(counts)
    )
    smallest = min(total for _, total in counts)
    return Pool(Source("made", verified.__file__), problems, True, smallest, 4, 1, "words")  # type: ignore[arg-type]


def test_many_samples_fail_as_independent_ones_do() -> None:
    assert survival(71, 1000, 5).tolist() == pytest.approx([0.929**j for j in range(6)])


def test_few_samples_fail_as_draws_without_replacement_do() -> None:
    expected = [hypergeom(10, 3, j).pmf(0) for j in range(11)]
    assert survival(3, 10, 10).tolist() == pytest.approx(expected)


def test_stopping_at_success_costs_the_closed_form() -> None:
    p = 0.05
    ((coverage, samples, *_),) = figures(pool((50, 1000)), Tries(("cap 64",), np.array([[64]])))[0].tolist()
    assert coverage == pytest.approx(1 - (1 - p) ** 64)
    assert samples == pytest.approx((1 - (1 - p) ** 64) / p)


def test_a_hopeless_problem_costs_every_try() -> None:
    found = figures(pool((0, 1000)), Tries(("cap 64",), np.array([[64]])))
    assert found[0, 0, :2].tolist() == [0.0, 64.0]


def test_one_at_a_time_pays_the_prompt_for_every_sample_and_all_at_once_pays_it_once() -> None:
    one, tries = pool((0, 1000)), np.array([[3]])
    assert figures(one, Tries(("x",), tries))[0, 0, 3] == 21
    assert figures(one, Tries(("x",), tries, stops=False))[0, 0, 3] == 7
    assert figures(one, Tries(("x",), tries * 0, stops=False))[0, 0, 3] == 0


def test_unknown_tokens_stay_unknown() -> None:
    found = figures(pool((1, 1000), question_tokens=None), Tries(("x",), np.array([[3]])))[0, 0]
    assert np.isnan(found[2:4]).all()


def test_recorded_answers_cost_their_mean_tokens() -> None:
    samples = (RecordedSample("a", True, 4), RecordedSample("b", False, 8))
    one = Pool(Source("made", verified.__file__), (Problem("1", samples=samples),), True, 2, 1, 1, "words")  # type: ignore[arg-type]
    found = figures(one, Tries(("cap 2",), np.array([[2]])))[0, 0]
    assert found[:3].tolist() == pytest.approx([1.0, 1.5, 9.0])


def test_worth_is_the_mean_of_the_belief_after_so_many_failed_verdicts() -> None:
    belief, expected = uniform(), []
    for _ in range(6):
        expected.append(belief.mean)
        belief = after_verdict(belief, False)
    assert worth(uniform(), 6).tolist() == pytest.approx(expected)


def test_giving_up_comes_with_the_first_failure_that_makes_the_next_try_too_dear() -> None:
    prior = Belief((0.001, 0.5), (0.5, 0.5))
    rule = give_up(pool((1, 1000)), {"0": prior})
    for price in (0.02, 0.01, 0.005):
        tries = int(rule.tries[rule.labels.index(f"price {price:g}"), 0])
        values = worth(prior, tries + 1)
        assert values[tries - 1] >= price > values[tries]


def test_a_problem_is_tried_at_least_once() -> None:
    rule = give_up(pool((1, 1000)), {"0": Belief((1e-6,), (1.0,))})
    assert rule.tries.min() == 1


def test_the_population_prior_never_holds_the_problems_own_fold() -> None:
    one = pool(*[(i * 10, 1000) for i in range(1, 21)])
    priors = verified.population(one, 0)
    fold_of = folds([problem.id for problem in one.problems], 0)
    for problem, fold in zip(one.problems, fold_of, strict=True):
        others = {q.n_correct / 1000 for q, other in zip(one.problems, fold_of, strict=True) if other != fold}
        assert list(priors[problem.id].support) == pytest.approx(sorted(others))


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=5), st.integers(0, 299))
def test_greedy_buys_what_allocate_buys_for_the_same_budget(rights: list[int], index: int) -> None:
    one = pool(*[(right, 1000) for right in rights])
    bought = greedy(one, stops=False).tries[index]
    beliefs = [Belief((right / 1000,), (1.0,)) for right in rights]
    best = allocate(beliefs, int(bought.sum()), maximum=verified.CAP)
    mine, theirs = (
        sum(1 - (1 - right / 1000) ** n for right, n in zip(rights, tries, strict=True))
        for tries in (bought.tolist(), best)
    )
    assert mine == pytest.approx(theirs)


def test_the_instance_adaptive_rule_is_the_papers_formula_capped() -> None:
    one = pool((1, 1000), (900, 1000))
    priors = {"0": Belief((0.01,), (1.0,)), "1": Belief((0.9,), (1.0,))}
    rule = verified.instance_adaptive(one, priors, None)
    assert rule.tries[rule.labels.index("C = 0.99, cap 4")].tolist() == [4, 2]


def test_never_hopeless_spends_nothing_where_nothing_was_ever_right() -> None:
    rule = verified.never_hopeless(pool((0, 1000), (1, 1000)))
    assert rule.tries[63].tolist() == [0, 64]
