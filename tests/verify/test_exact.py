"""Exact answers: what says the same is right, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.types import Path, Request, ToolCall
from adaptive_middleware.verify.exact import exact_answer, expected_answer

ASKED = Request("?")


def passed(expected: str, text: str) -> bool | None:
    (verdict,) = exact_answer(expected).verify(ASKED, [Path((text,))])
    return verdict.passed


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("5", "2 + 3 = 5.0"),
        ("1,000", "The answer is 1000."),
        (r"\frac12", r"Thus \boxed{0.5}"),
        ("Paris", "The answer is Paris."),
        ("She has 2 + 3 = 5 eggs.\n#### 5", "The answer is 5."),
        (r"So we get $\boxed{7}$", "#### 7"),
        ('{"a": 1.0}', 'It is:\n```json\n{"a": 1}\n```'),
    ],
)
def test_answers_that_say_the_same_pass(expected: str, text: str) -> None:
    assert passed(expected, text) is True


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("5", "The answer is 50."),
        ("2x + 3", "The answer is 3."),
        ("Paris", "The answer is Rome."),
        ("5", "none"),
    ],
)
def test_others_are_wrong(expected: str, text: str) -> None:
    assert passed(expected, text) is False


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_numbers_pass_exactly_when_they_are_equal(expected: int, said: int) -> None:
    assert passed(str(expected), f"The answer is {said}.") is (expected == said)


def test_one_verdict_per_path_says_what_was_read() -> None:
    paths = [Path(("The answer is 4.",)), Path(("no idea",)), Path(tool_calls=(ToolCall("f", {}),))]
    verdicts = exact_answer("5").verify(ASKED, paths)
    assert [verdict.passed for verdict in verdicts] == [False, False, False]
    assert verdicts[0].detail == "answered '4', expected '5'"
    assert verdicts[1].detail == "no answer found in the text"


@pytest.mark.parametrize("nothing", ["", " ", "\n"])
def test_an_empty_expectation_expects_nothing(nothing: str) -> None:
    assert expected_answer(nothing) is None
