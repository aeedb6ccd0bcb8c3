"""Canonical programs: equal where only layout differs, different where what is run differs."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.code.canonical import canonical_program, program_answer
from adaptive_middleware.strategies.select import majority_vote, votes
from adaptive_middleware.types import Candidate, Path, ToolCall

SAME = [
    "def f(x):\n    return x+1",
    "# adds\ndef f(x):\n  '''Adds.'''\n\n  return (x + 1)  # one\n",
    '"""Module."""\ndef f( x ):\n\t"""Adds."""\n\treturn x+ 1',
]
OTHERS = [
    "def f(y):\n    return y+1",
    "def f(x):\n    return 1+x",
    "def f(x):\n    return x+1.0",
    "def f(x): return 'x+1'",
]


def test_layout_comments_and_docstrings_do_not_count_and_everything_else_does() -> None:
    assert len({canonical_program(code) for code in SAME}) == 1
    assert len({canonical_program(code) for code in [SAME[0], *OTHERS]}) == 1 + len(OTHERS)


def test_what_is_left_of_a_function_without_its_docstring_still_is_one() -> None:
    assert canonical_program('class A:\n    "Doc."\n    async def f(self):\n        "Doc."') == (
        "class A:\n\n    async def f(self):\n        pass"
    )


@pytest.mark.parametrize(
    "code",
    ["", "# nothing", "x = = 1", "x = 0x" + "f" * 5000, "x" + ".a" * 100_000, "(" * 5000, "x\x00", "x = '\ud800'", "1+" * 50_000 + "1"],
    ids=["empty", "comment", "broken", "huge number", "deep attribute", "deep brackets", "null", "surrogate", "deep sum"],
)  # fmt: skip
def test_what_python_cannot_read_or_write_has_no_canonical_form(code: str) -> None:
    assert canonical_program(code) is None


def test_a_faulty_escape_is_the_programs_own_affair() -> None:
    assert canonical_program("x = '\\d'") == "x = '\\\\d'"


@given(
    st.lists(
        st.sampled_from([*SAME, *OTHERS, "import os", "if a:\n    b = 1\nelse:\n    b = [2]"]), min_size=1
    )
)
def test_the_canonical_form_is_its_own_and_runs_as_the_program_does(parts: list[str]) -> None:
    code = "\n".join(parts)
    canonical = canonical_program(code)
    assert canonical is not None
    assert canonical_program(canonical) == canonical
    assert len(ast.parse(canonical).body) >= len(ast.parse(code).body) - 1


def test_equal_programs_vote_together_whatever_is_said_around_them() -> None:
    texts = ["Sure:\n```python\n" + SAME[0] + "\n```", SAME[1], OTHERS[0], "I do not know."]
    candidates = [Candidate(path, answer=program_answer(path)) for path in (Path((text,)) for text in texts)]
    assert votes(candidates) == (2, 1)
    assert majority_vote(candidates).index == 0


def test_an_answer_that_calls_tools_says_those_calls() -> None:
    assert program_answer(Path(("x = 1",), tool_calls=(ToolCall("run", {"a": 1}),))) == '[["run",{"a":1}]]'
