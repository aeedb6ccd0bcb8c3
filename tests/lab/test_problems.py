"""The lab's problems: exact, graded, reproducible, and held out where they say so."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.lab.problems import (
    HELD_OUT_PER_SPLIT,
    LEVELS,
    Problem,
    Split,
    final_answer,
    first_wrong_step,
    is_correct,
    line,
    make,
    stories,
)

problems = st.builds(
    lambda level, seed: make(level, random.Random(seed)), st.sampled_from(LEVELS), st.integers(0, 10**9)
)


@given(problems)
def test_the_written_out_solution_is_accepted(problem: Problem) -> None:
    """Every canonical solution passes the checker, at the step level too."""
    assert is_correct(problem, "\n".join(problem.steps))
    assert first_wrong_step(problem, problem.steps) is None


@given(problems, st.data())
def test_a_changed_digit_is_found_where_it_is(problem: Problem, data: st.DataObject) -> None:
    """One changed digit makes exactly that step the first wrong one."""
    index = data.draw(st.integers(0, len(problem.steps) - 1))
    step = problem.steps[index]
    place = data.draw(st.sampled_from([i for i, c in enumerate(step) if c.isdigit()]))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != step[place]]))
    steps = [*problem.steps[:index], step[:place] + digit + step[place + 1 :], *problem.steps[index + 1 :]]
    assert index == first_wrong_step(problem, steps)


@given(problems)
def test_every_number_of_a_solution_is_reached_by_exact_arithmetic(problem: Problem) -> None:
    """Each line holds, and the last one leads to the answer."""
    for step in problem.steps[:-1]:
        left, symbol, right, _, _ = step.split()
        assert step == line(symbol, int(left), int(right))
    assert problem.answer == int(problem.steps[-2].split()[-1]) > 0


def test_sums_and_products_may_be_commuted() -> None:
    """`b + a` is as right as `a + b`; a difference is not."""
    problem = next(p for p in stories("test", levels=[1]) if "+" in p.steps[0])
    left, _, right, _, result = problem.steps[0].split()
    assert first_wrong_step(problem, [f"{right} + {left} = {result}"]) is None


@given(st.sampled_from(["train", "prm", "calibration", "test"]), st.integers(0, 5))
def test_a_split_is_the_same_every_time(split: Split, seed: int) -> None:
    """The same split and seed give the same problems."""
    one, two = (list(itertools.islice(stories(split, seed), 5)) for _ in range(2))
    assert one == two


def test_the_splits_share_no_question() -> None:
    """What is held out is never trained on."""
    splits: tuple[Split, ...] = ("test", "calibration", "prm")
    held_out = {name: {p.question for p in stories(name)} for name in splits}
    assert {name: len(questions) for name, questions in held_out.items()} == HELD_OUT_PER_SPLIT
    train = {p.question for p in itertools.islice(stories("train"), 20_000)}
    sets = [train, *held_out.values()]
    assert all(not a & b for a, b in itertools.combinations(sets, 2))


def test_the_last_conclusion_counts() -> None:
    """The answer is the number of the last `The answer is` line; none without it."""
    assert final_answer("1 + 1 = 2\nThe answer is 3.\nThe answer is 2.") == 2
    assert final_answer("1 + 1 = 2") is None
