"""Difficulty from the question alone: what is read, what is learned, and that nothing is learned from the answer."""

import ast
from collections.abc import Sequence
from dataclasses import replace
from math import fsum, log
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binom, spearmanr
from sklearn.ensemble import ExtraTreesRegressor

from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.recording import Problem, RecordedSample, write_recording
from adaptive_middleware.types import Belief
from bench.allocation import difficulty, verified
from bench.allocation import difficulty_table as table
from bench.allocation.crossfit import folds
from bench.allocation.difficulty import GRID, Forest, crossfitted, neighbours, population, posteriors, predict
from bench.allocation.difficulty_features import features, text_of, touched
from bench.allocation.recordings import Pool, Source

SMALL = Forest(trees=10, topics=5)
WORDS = ("sort", "count", "reverse", "add", "split", "join", "pair", "drop")


def puzzles(count: int, seed: int = 0, n: int = 100) -> list[Problem]:
    """Puzzles that get harder with every constraint: p halves with each."""
    rng = Random(seed)
    made = []
    for index in range(count):
        parts = [f"len(s) != {rng.randint(0, 99)}" for _ in range(1 + index % 7)]
        text = f"def f(s: str, {rng.choice(WORDS)}={rng.randint(0, 9)}):\n    return {' and '.join(parts)}"
        right = sum(rng.random() < 0.5 ** len(parts) for _ in range(n))
        made.append(Problem(f"puzzle-{index}", text, n=n, n_correct=right))
    return made


def pool(problems: Sequence[Problem]) -> Pool:
    return Pool(Source("made", Path("made.jsonl")), tuple(problems), True, 100, 64, 1, "words")


def dealt(problems: Sequence[Problem], count: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return folds([problem.id for problem in problems], count=count)


def function(source: str) -> ast.FunctionDef:
    found = ast.parse(source).body[0]
    assert isinstance(found, ast.FunctionDef)
    return found


# what is read


def test_a_comparison_with_the_answer_itself_is_told_from_one_with_something_made_of_it() -> None:
    plain = features("def f(s: str, t='abc'):\n    return s == t[::-1]")
    made = features("def f(s: str, t='abc'):\n    return s[::-1] == t")
    assert plain["compare equal one Name"] == 1
    assert made["compare equal one Subscript"] == 1
    assert "compare equal one Name" not in made


def test_the_answer_is_followed_through_assignments_loops_and_walrus() -> None:
    source = (
        "def f(x, n=3):\n"
        "    total = 0\n"
        "    a = b = sorted(x)\n"
        "    for i, c in enumerate(a):\n"
        "        total += c\n"
        "    if (z := total):\n"
        "        n = 4\n"
        "    return z == n"
    )
    assert touched(function(source), "x") == {"x", "a", "b", "i", "c", "total", "z"}


def test_chained_comparisons_and_calls_are_each_counted() -> None:
    found = features(
        "def f(x: List[int], n=9):\n    return 0 < len(x) <= max(x) and n > 3 and x.count(2) in [n]"
    )
    assert found["compare order one"] == 1
    assert found["compare order both"] == 1
    assert found["compare order none"] == 1
    assert found["compare in one count"] == 1
    assert found["constraints"] == 3
    assert found["answer depth"] == 1


def test_loops_over_the_answer_are_told_from_others() -> None:
    found = features("def f(x, n=9):\n    return all(i != j for i in x for j in range(n))")
    assert (found["loops over touched names"], found["other loops"]) == (1, 1)


def test_numbers_of_any_length_are_read() -> None:
    found = features(f"is {'9' * 500} prime, or 2.5, or 3?")
    assert found["number largest"] == 1e30
    assert found["number median"] == 3


@pytest.mark.parametrize("text", ["", "What is 3 + 4?", "x = 1", "def f(:", "\0", "(" * 5000])
def test_a_question_that_is_no_function_is_read_as_prose(text: str) -> None:
    assert features(text) == features(text, code=False)


def test_a_function_without_arguments_has_no_answer_to_follow() -> None:
    assert features("def f():\n    return 1")["answer unknown"] == 1


def test_an_odd_escape_is_no_warning_of_ours() -> None:
    assert features("def f(s):\n    return s == '\\d'")["compare equal one Name"] == 1


@given(st.text())
@example("def f(s):\n return {**s}")
def test_whatever_the_text_features_are_finite_and_not_negative(text: str) -> None:
    assert all(np.isfinite(value) and value >= 0 for value in features(text).values())


def test_the_recorded_right_answer_is_never_part_of_the_question() -> None:
    problem = Problem("a", extra={"code": "def f(x): ...", "input": "'SECRET'", "output": "'y'"})
    assert text_of(problem) == "def f(x): ...\n\n'y'"
    assert text_of(replace(problem, question="what?")) == "what?"


# the distribution of p


def test_with_many_samples_the_population_is_where_the_rates_are() -> None:
    right = np.array([0, 0, 0, 5000])
    prior = population(np.asarray(binom.pmf(right[:, None], 10_000, GRID[None, :])))
    assert prior[GRID < 1e-3].sum() == pytest.approx(0.75, abs=1e-6)
    assert prior[abs(GRID - 0.5) < 0.03].sum() == pytest.approx(0.25, abs=1e-6)


@given(st.lists(st.integers(0, 10), min_size=1, max_size=20))
@settings(max_examples=30)
def test_no_single_p_explains_the_counts_better_than_the_population(right: list[int]) -> None:
    likelihood = np.asarray(binom.pmf(np.array(right)[:, None], 10, GRID[None, :]))
    mixed = np.log(likelihood @ population(likelihood)).sum()
    with np.errstate(divide="ignore"):
        single = np.log(likelihood).sum(axis=0).max()
    assert mixed >= single - 0.02 * len(right)  # 100 rounds are not the limit


def test_posteriors_are_bayes_rule() -> None:
    found = posteriors(np.array([[0.2, 0.4], [0.0, 1.0]]), np.array([0.75, 0.25]))
    assert found.tolist() == [pytest.approx([0.6, 0.4]), [0.0, 1.0]]


def test_a_zero_of_few_is_less_hopeless_than_a_zero_of_many() -> None:
    prior = np.full(len(GRID), 1 / len(GRID))
    few, many = (posteriors(np.asarray([binom.pmf(0, n, GRID)]), prior)[0] @ GRID for n in (10, 1000))
    assert many < few / 3


# the forest


def test_weights_of_neighbours_give_back_the_forest_prediction() -> None:
    rng = np.random.default_rng(0)
    x, y, new = rng.random((40, 3)), rng.random(40), rng.random((7, 3))
    trees = ExtraTreesRegressor(20, min_samples_leaf=3, random_state=0).fit(x, y)
    weights = neighbours(trees.apply(x), trees.apply(new))
    assert weights.sum(axis=1) == pytest.approx(np.ones(7))
    assert weights @ y == pytest.approx(trees.predict(new), abs=1e-12)


def test_the_forest_tells_hard_from_easy() -> None:
    problems = puzzles(63)
    found = crossfitted(problems, dealt(problems, 3), forest=SMALL)
    truth = [problem.n_correct for problem in problems]
    assert spearmanr(truth, [found[problem.id].mean for problem in problems]).statistic > 0.85
    blind = verified.population(pool(problems), 0)
    assert table.likelihood(problems, found) > table.likelihood(problems, blind) + 0.5


def test_without_code_the_constraints_are_not_counted() -> None:
    problems = puzzles(21)
    deal = dealt(problems, 2)
    prose = crossfitted(problems, deal, forest=replace(SMALL, code=False, topics=0))
    assert prose != crossfitted(problems, deal, forest=replace(SMALL, topics=0))


def test_a_belief_is_a_distribution_inside_the_unit_interval() -> None:
    problems = puzzles(12)
    for belief in crossfitted(problems, dealt(problems, 3), forest=SMALL).values():
        assert 0 < belief.support[0] < 1e-4
        assert belief.support[-1] < 1
        assert list(belief.support) == sorted(set(belief.support))
        assert min(belief.weights) >= 0
        assert fsum(belief.weights) == pytest.approx(1, abs=1e-12)


def test_doubt_keeps_its_share_of_what_is_believed_without_the_question() -> None:
    problems = puzzles(21)
    deal = dealt(problems, 3)
    found = crossfitted(problems, deal, forest=replace(SMALL, doubt=0.5))
    for problem, fold in zip(problems, deal, strict=True):
        others = [one for one, other in zip(problems, deal, strict=True) if other != fold]
        least = 0.5 * population(difficulty.likelihoods(others))
        assert np.all(np.asarray(found[problem.id].weights) >= least - 1e-9)


# honesty


def test_a_problem_never_sees_its_own_counts_nor_those_of_its_fold() -> None:
    problems = puzzles(21)
    deal = dealt(problems, 3)
    spoilt = [
        replace(problem, n_correct=100) if fold == 1 else problem
        for problem, fold in zip(problems, deal, strict=True)
    ]
    before, after = (crossfitted(one, deal, forest=SMALL) for one in (problems, spoilt))
    same = [before[problem.id] == after[problem.id] for problem in problems]
    assert same == [fold == 1 for fold in deal]


def test_with_few_problems_each_is_its_own_fold() -> None:
    problems = puzzles(2)
    assert predict(problems) == predict(problems, folds=2)


def test_the_same_seed_gives_the_same_beliefs_and_another_seed_others() -> None:
    problems = puzzles(21)
    deal = dealt(problems, 3)
    first, again, other = (crossfitted(problems, deal, seed, SMALL) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(("count", "deals", "left"), [(1, 10, 1), (0, 10, 0), (5, 1, 1), (5, 0, 1)])
def test_nothing_to_learn_from_is_an_error_that_says_so(count: int, deals: int, left: int) -> None:
    with pytest.raises(CalibrationError, match=f"{left} folds of {count} problems: at least 2"):
        predict(puzzles(count), folds=deals)


def test_questions_that_are_all_alike_are_one_population() -> None:
    problems = [replace(problem, question="the same") for problem in puzzles(6)]
    found = crossfitted(problems, dealt(problems, 2), forest=SMALL)
    assert len({belief.mean for belief in found.values()}) == 2  # one for each fold


def test_recorded_samples_count_like_counts() -> None:
    counted = [Problem(str(i), f"question {i}", n=4, n_correct=i % 5) for i in range(6)]
    recorded = [
        Problem(one.id, one.question, tuple(RecordedSample("x", j < one.n_correct, 1) for j in range(4)))
        for one in counted
    ]
    deal = dealt(counted, 2)
    assert crossfitted(counted, deal, forest=SMALL) == crossfitted(recorded, deal, forest=SMALL)


@pytest.mark.parametrize("right", [0, 100])
def test_all_right_or_all_wrong_is_believed_of_new_problems(right: int) -> None:
    problems = [replace(problem, n_correct=right) for problem in puzzles(6)]
    for belief in crossfitted(problems, dealt(problems, 2), forest=SMALL).values():
        assert belief.mean == pytest.approx(right / 100, abs=0.02)


def test_without_any_text_the_belief_is_the_population() -> None:
    problems = [replace(problem, question=" ") for problem in puzzles(6)]
    deal = dealt(problems, 2)
    found = crossfitted(problems, deal, forest=SMALL)
    for problem, fold in zip(problems, deal, strict=True):
        others = [one for one, other in zip(problems, deal, strict=True) if other != fold]
        expected = population(difficulty.likelihoods(others))
        assert found[problem.id].weights == pytest.approx((expected / expected.sum()).tolist(), abs=1e-9)


# the table


def test_samples_at_a_coverage_are_interpolated_between_settings() -> None:
    found = np.zeros((3, 1, 5))
    found[:, 0, :2] = [[0.6, 30.0], [0.2, 5.0], [0.4, 10.0]]
    aims = np.array([0.2, 0.3, 0.55])
    expected = np.interp(aims, [0.2, 0.4, 0.6], [5, 10, 30])
    assert table.samples_at(found, np.ones((3, 1)), aims).tolist() == pytest.approx(expected.tolist())


def test_the_cap_itself_saves_nothing() -> None:
    made = pool(puzzles(20))
    found = table.saving(made, verified.uniform(made, stops=True), 0.8)
    assert (found.share, *found.ends) == pytest.approx((1.0, 1.0, 1.0))
    assert found.coverage >= 0.8 - 1e-9


def test_never_trying_the_hopeless_saves_exactly_their_cap() -> None:
    made = pool([Problem("a", n=100, n_correct=50), Problem("b", n=100, n_correct=0)])
    capped = verified.figures(made, verified.uniform(made, stops=True)).mean(axis=1)
    found = table.saving(made, verified.never_hopeless(made), float(capped[3, 0]))
    drawn = verified.survival(50, 100, 4)[:-1].sum()
    assert found.samples == pytest.approx(drawn / 2)
    assert found.share == pytest.approx(drawn / (drawn + 4))


def test_a_rule_that_ends_early_is_compared_where_it_ends() -> None:
    made = pool(puzzles(20))
    short = verified.Tries(("cap 2",), np.full((1, 20), 2))
    found = table.saving(made, short, 0.9)
    assert found.share == pytest.approx(1)
    assert found.coverage < 0.9


def test_likelihood_is_that_of_the_counts() -> None:
    problems = [Problem("a", n=2, n_correct=1), Problem("b", n=3, n_correct=0)]
    priors = {"a": Belief((0.5,), (1.0,)), "b": Belief((0.2, 0.5), (0.5, 0.5))}
    expected = (log(0.5) + log((0.8**3 + 0.5**3) / 2)) / 2
    assert table.likelihood(problems, priors) == pytest.approx(expected)


def test_an_impossible_count_is_very_unlikely_but_a_number() -> None:
    assert table.likelihood([Problem("a", n=1000, n_correct=1000)], {"a": Belief((1e-5,), (1.0,))}) < -600


def test_near_duplicates_are_one_family() -> None:
    texts = ["count the vowels of alpha", "count the vowels of alphas", "is 91 prime"]
    first, second, third = table.families([Problem(str(i), text) for i, text in enumerate(texts)], 0.5)
    assert first == second != third


def test_the_report_names_every_rule_and_price(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "made.jsonl"
    write_recording(file, [*puzzles(4), Problem("other", "is 91 prime?", n=100, n_correct=7)])
    assert difficulty.main([str(file), "--seeds", "1", "--trees", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("made: 5 questions, cap 32 covers ")
    rules = (
        "give up, no predictor",
        "give up, predictor",
        "families of cosine > 0.5 undivided",
        "IAS",
        "true p",
        "code not read",
    )
    assert all(rule in shown for rule in rules)
    assert "| 0.02 | " in shown


def test_an_absent_pool_is_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADAPTIVE_SHARED", "/nowhere")
    assert difficulty.main([]) == 0
    assert "is absent" in capsys.readouterr().out
