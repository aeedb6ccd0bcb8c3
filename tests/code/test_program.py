"""The program of an answer is the same however the model dressed it, and nothing of it is mended or run."""

from __future__ import annotations

import re
from collections.abc import Callable
from textwrap import dedent, indent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.code import blocks
from adaptive_middleware.code.parsing import parsed
from adaptive_middleware.code.program import program_of

LOOP = (
    "def total(xs):\n    '''Adds.\n\n    ```\n    >>> total([1])\n    '''\n",
    "    n = 0\n    for x in xs:\n        n += x\n    return n\n",
)
IMPORTS = (
    "from typing import List\nimport math\n\ndef half(x):\n    return x / 2\n\n@staticmethod\ndef total(xs: List[int]) -> int:\n",
    "    table = {\n        'a': math.floor(half(2)),\n    }\n    return sum(xs) * table['a']\n",
)
BLOCK = (
    "def total(xs):\n",
    "    if xs:\n          return xs[0] + total(xs[1:])\n    else:\n        return 0\n",
)
NESTED = (
    "def total(xs):",
    "    def add(a, b):\n        return a + b\n\n    n = 0\n    while xs:\n        n = add(n, xs.pop())\n    return n\n",
)
TASKS = {"loop": LOOP, "imports": IMPORTS, "block": BLOCK, "nested": NESTED}


def head(prompt: str) -> str:
    return prompt if prompt.endswith("\n") else prompt + "\n"


FORMS: dict[str, Callable[[str, str], str]] = {
    "body": lambda _, body: body,
    "stripped body": lambda _, body: body.strip(),
    "dedented body": lambda _, body: dedent(body),
    "body, then another function": lambda _, body: f"{body}\n\ndef main():\n    print(total([1]))\n",
    "body, then a cut-off rest": lambda _, body: f"{body}\n\nif __name__ == '__main__':\n    print(total(\n",
    "body, then the closing fence": lambda _, body: f"{body}```\n\nIt's right, isn't it?\n",
    "body, then a fence with a language": lambda _, body: f"{body}```text\nIt's right.\n```\n",
    "whole": lambda prompt, body: head(prompt) + body,
    "fenced": lambda prompt, body: f"```python\n{head(prompt)}{body}```",
    "fence never closed": lambda prompt, body: f"So:\n```python\n{head(prompt)}{body}",
    "longer fence": lambda prompt, body: f"````py\n{head(prompt)}{body}````\n",
    "carriage returns": lambda prompt, body: f"```python\n{head(prompt)}{body}```\n".replace("\n", "\r\n"),
    "then an example and its output": lambda prompt, body: (
        f"Sure.\n\n```python\n{head(prompt)}{body}```\n\nSo:\n```python\nprint(total([1]))\n```\nOutput:\n```\n1\n```\n"
    ),
    "a first attempt, then the right one": lambda prompt, body: (
        f"```python\ndef total(xs):\n    return 7\n```\nNo:\n```python\n{head(prompt)}{body}```\n"
    ),
    "without the prompt's imports": lambda prompt, body: f"```\n{prompt[prompt.rindex('def total'):].rstrip()}\n{body}```\n",
    "in a list": lambda prompt, body: "1. So:\n\n" + indent(f"```python\n{head(prompt)}{body}```\n", "    "),
    "between prose without fences": lambda prompt, body: f"Here it is:\n\n{head(prompt)}{body}\nThat's it, don't you think?\n",
    "with a future import": lambda prompt, body: f"```python\nfrom __future__ import annotations\n{head(prompt)}{body}```\n",
}  # fmt: skip


def result(program: str) -> object:
    names: dict[str, object] = {}
    exec(compile(program, "program", "exec"), names)  # noqa: S102 - ours
    total = names["total"]
    total = total.__func__ if isinstance(total, staticmethod) else total
    assert callable(total)
    return total([2, 3, 4])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", TASKS)
def test_the_program_runs_in_every_form_in_which_models_give_it(task: str, form: str) -> None:
    prompt, body = TASKS[task]
    assert result(program_of(FORMS[form](prompt, body), prompt)) == 9


@pytest.mark.parametrize("form", [form for form in FORMS if "body" not in form and "without" not in form])
def test_without_a_prompt_whole_programs_are_found_all_the_same(form: str) -> None:
    prompt, body = LOOP
    assert result(program_of(FORMS[form](prompt, body))) == 9


def test_earlier_blocks_are_put_before_the_program_that_uses_them() -> None:
    text = "```python\nimport math\n```\n```python\ndef unused(): pass\n```\n```python\ndef half(x): return x / 2\n```\nthen\n"
    text += "```python\ndef total(xs):\n    return math.floor(half(sum(xs)) * 2)\n```\n"
    program = program_of(text)
    assert result(program) == 9
    assert "unused" not in program


def test_the_entry_decides_which_of_several_functions_it_is() -> None:
    text = "```python\ndef total(xs): return sum(xs)\n```\n```python\ndef test_it(): assert 1\n```\n"
    assert "def total" not in program_of(text, entry="nothing")
    assert program_of(text, entry="total") == "def total(xs): return sum(xs)\n"


def test_a_script_is_told_from_its_output_and_from_other_languages() -> None:
    text = "```sh\npip install x\n```\n```python\nn = int(input())\nprint(n * 2)\n```\nGives\n```\n5\n```\n```\nHello world\n```\n"
    assert program_of(text) == "n = int(input())\nprint(n * 2)\n"


def test_what_does_not_parse_is_given_as_it_was_written() -> None:
    assert (
        program_of("```python\ndef total(xs:\n    return\n```\n", "def total(xs):\n")
        == "def total(xs:\n    return\n"
    )
    assert program_of("```python\ndef total(xs:\n```\n") == "def total(xs:\n"
    assert program_of("I cannot do that.") == "I cannot do that."
    assert program_of("```js\nlet x = 1\n```\n") == ""
    assert program_of("I'd sum them", "def total(xs):\n") == "def total(xs):\n    I'd sum them\n"


def test_a_broken_earlier_block_is_left_where_it_is() -> None:
    text = "```python\nhalf = = 1\n```\n```python\ndef total(xs): return half(xs)\n```\n"
    assert program_of(text) == "def total(xs): return half(xs)\n"
    assert program_of("```python\nx = 1\n```\n```python\ndef total(xs: return x\n```\n") == "x = 1\n"


def test_a_prompt_that_is_broken_before_its_function_is_not_put_before_a_whole_one() -> None:
    answer = "def total(xs):\n    return sum(xs)\n"
    assert program_of(answer, "Write it!\n\ndef total(xs):\n") == answer


@given(
    st.text(alphabet="adef x()=:`~'\"\\\n\t #@\x00\ud800"),
    st.sampled_from(["", "def a(x):", "x = (\ndef a():\n"]),
)
def test_any_text_has_a_program_of_its_own_words(text: str, prompt: str) -> None:
    program = program_of(text, prompt)
    words = re.findall(r"\w+", program)
    assert set(words) <= set(re.findall(r"\w+", text + "\n" + prompt))
    assert parsed(program_of(program)) is not None or parsed(program) is None


def test_what_is_cut_off_in_a_long_block_costs_few_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def counted(code: str) -> object:
        nonlocal asked
        asked += 1
        return parsed(code)

    monkeypatch.setattr(blocks, "parsed", counted)
    opened = "x = 1\n# a note\ntry:\n" + "    y = 2\n" * 500
    assert blocks.whole_part(opened) == "x = 1\n"
    assert blocks.whole_part("def f():\n    y = 2\n    z = (\n") == "def f():\n    y = 2\n"
    assert blocks.whole_part(opened, "if True:\n") == ""
    assert asked < 20
