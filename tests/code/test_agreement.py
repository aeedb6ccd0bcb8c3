"""Dual execution agreement is what its definition says, and generated tests are read as they are written."""

from __future__ import annotations

from itertools import product
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.code.agreement import agreement_scores, telling
from adaptive_middleware.code.asserts import asserts_in

matrices = st.integers(1, 5).flatmap(
    lambda width: st.lists(
        st.lists(st.sampled_from([True, False, None]), min_size=width, max_size=width), min_size=1, max_size=6
    )
)


def consensus(passes: list[list[bool | None]], program: int, power: float) -> float:
    """By the definition: every pair of a program and a test that it passes proposes a set; all of one program's agree."""
    proposed = set()
    for x, y in product(range(len(passes)), range(len(passes[0]))):
        if passes[x][y] is not True:
            continue
        tests = [j for j in range(len(passes[0])) if passes[x][j] is True]
        programs = [
            k
            for k in range(len(passes))
            if all((passes[k][j] is True) == (j in tests) for j in range(len(passes[0])))
        ]
        if program in programs:
            proposed.add(len(programs) ** power * len(tests))
    return max(proposed, default=0.0)


@given(matrices, st.sampled_from([0.5, 1.0]))
def test_scores_are_those_of_the_definition(passes: list[list[bool | None]], power: float) -> None:
    expected = [consensus(passes, program, power) for program in range(len(passes))]
    assert list(agreement_scores(passes, power)) == pytest.approx(expected)


def test_the_root_weighs_tests_more_than_programs() -> None:
    passes = (
        [(True, True, True, False)] * 4 + [(True, True, True, True)] * 3 + [(False, False, False, True)] * 9
    )
    assert agreement_scores(passes)[::4] == (6.0, 4 * sqrt(3), 3.0, 3.0)
    assert agreement_scores(passes, 1.0)[0] == agreement_scores(passes, 1.0)[4] == 12


def test_rows_that_do_not_fit_each_other_are_refused_and_nothing_scores_nothing() -> None:
    with pytest.raises(ValueError, match=r"rows of \[1, 2\] results"):
        agreement_scores([(True,), (True, False)])
    assert agreement_scores([]) == ()


@given(matrices)
def test_leaving_out_tests_that_tell_nothing_keeps_every_consensus_set(
    passes: list[list[bool | None]],
) -> None:
    kept = telling(passes)
    whole = [tuple(one is True for one in row) for row in passes]
    part = [tuple(row[j] for j in kept) for row in whole]
    assert [[a == b for b in whole] for a in whole] == [[a == b for b in part] for a in part]
    assert all(len({row[j] for row in whole}) == 2 for j in kept)


@pytest.mark.parametrize(
    ("text", "cases"),
    [
        ("assert f(1) == 1\nassert f(2) == 2\nassert f(", ("assert f(1) == 1", "assert f(2) == 2")),
        ("Tests:\n```python\nassert g(1)\nassert f(x) == 1\nassert len(f([])) == 0\n```\n", ("assert len(f([])) == 0",)),
        ("```python\nclass T:\n    def test(self):\n        assert f(1) == 1\n        assert 1 == 1\n```\n```\nassert f('a')\n```", ("assert f(1) == 1", "assert f('a')")),
        ("I would test zero.", ()),
        ("```python\n= broken\n```", ()),
    ],
    ids=["cut off", "only those about it", "blocks and depths", "prose", "broken"],
)  # fmt: skip
def test_assertions_about_the_function_are_found(text: str, cases: tuple[str, ...]) -> None:
    assert asserts_in(text, "f") == cases
    assert asserts_in(text, "f", most=1) == cases[:1]
