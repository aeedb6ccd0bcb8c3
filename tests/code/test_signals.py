"""Signals of code: the same at every beginning of an answer as a reader with a parser would say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.code.parsing import compiles
from adaptive_middleware.code.program import program_of
from adaptive_middleware.code.signals import Signals, entry_of, signals_of

ANSWER = (
    "Let me think.\n\n",
    "```python\nimport math\n",
    "def area(r):\n    sq = r * r\n",
    "    return factor(sq) * math.pi\n",
    "def factor(x):\n    return x\n```\n\n",
    "Done.",
)


def test_an_answer_is_told_at_every_step() -> None:
    found = [
        signals_of("".join(ANSWER[: n + 1]), entry="area", done=n + 1 == len(ANSWER))
        for n in range(len(ANSWER))
    ]
    assert found == [
        None,
        Signals("whole", defines_entry=False),
        Signals("whole"),
        Signals("whole", ("factor",)),
        Signals("whole"),
        Signals("whole"),
    ]
    assert [one is not None and one.runnable for one in found] == [False, False, True, False, True, True]


@pytest.mark.parametrize(
    ("text", "signals"),
    [
        ("```python\ndef f(x):\n", Signals("open", (), defines_entry=False)),
        ("```python\ny = g(1)\ntry:\n    x = [\n", Signals("open", ("g",), defines_entry=False)),
        ("```python\ndef f(x)\n", Signals("broken", defines_entry=False)),
        ("```python\ndef f(x): pass\nx = 'no\n", Signals("broken", defines_entry=False)),
        ("```python\ndef f(x): pass\nx = = 1", Signals("whole")),
        ("```js\nlet = 1\n", None),
        ("I would use a loop.\nx = 1\n", None),
        ("", None),
    ],
    ids=[
        "head",
        "open statements",
        "no colon",
        "open string",
        "half a line",
        "javascript",
        "prose",
        "nothing",
    ],
)
def test_code_in_the_making(text: str, signals: Signals | None) -> None:
    assert signals_of(text, entry="f", done=False) == signals


@pytest.mark.parametrize(
    ("text", "signals"),
    [
        ("Here:\n\ndef f(x):\n    return x\n", Signals("whole")),
        ("It is so.", None),
        ("```python\ndef f(x):\n    return (x", Signals("open", (), defines_entry=False)),
        ("```python\ndef g(x):\n    return x", Signals("whole", defines_entry=False)),
        ("f = lambda x: x", Signals("whole")),
    ],
)
def test_code_that_is_done(text: str, signals: Signals | None) -> None:
    assert signals_of(text, entry="f") == signals


def test_a_body_is_read_behind_the_prompt_that_it_completes() -> None:
    prompt = "import math\n\ndef f(x):\n"
    assert signals_of("    y = math.floor(x)\n    return", prompt, "f", done=False) == Signals("whole")
    assert signals_of("    y = math.floor(x)\n    return z\n", prompt, "f") == Signals("whole", ("z",))
    assert signals_of("  y = 1\n   x\n", prompt, "f", done=False) == Signals("broken", defines_entry=False)


@pytest.mark.parametrize(
    ("question", "entry"),
    [
        ("Write it.", None),
        ("Write a function.\nassert not is_odd(2)\nassert other(1)", "is_odd"),
        ("def helper(x):\n    pass\n\nasync def run(x):\n", "run"),
        ("Use def in a sentence.", None),
    ],
)
def test_the_wanted_function_is_what_the_question_shows(question: str, entry: str | None) -> None:
    assert entry_of(question) == entry


@given(st.text(alphabet="adef x()=:`~'\"\\\n\t #@\x00"), st.booleans(), st.sampled_from(["", "def a(x):\n"]))
def test_any_text_has_signals_or_none_and_what_is_runnable_can_be_run(
    text: str, done: bool, prompt: str
) -> None:
    found = signals_of(text, prompt, "a", done=done)
    assert found is None or not (done and found.runnable) or compiles(program_of(text, prompt, "a"))
