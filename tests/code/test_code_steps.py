"""Steps of code: nothing is lost, streaming changes nothing, and Python is cut where its own parser says it begins."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adaptive_middleware.code.steps import CodeSteps, is_code
from adaptive_middleware.step_splitter import StepSplitter
from adaptive_middleware.steps import split_steps

LINES = [
    "def f(x):", "    return x", "    y = (x,", "        2)", '    """doc', '    """', "@cached", "class A:", "x = 1",
    "    if x:", "        pass", "    else:", "else:", "# note", "    # note", "", "  ", "```python", "```js", "```",
    "  ```", "Here it is:", "don't", "a = 'b\\", "}", "\t\tx", "s = '''", "'''", "x = [", "import os \\",
]  # fmt: skip
texts = st.lists(st.sampled_from(LINES)).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n"]).map(lambda end: end.join(lines))
) | st.text(alphabet="ab#`'\"\\()[]: \t\r\n@=\u2028\x0c")
MODULES = [
    "textwrap",
    "heapq",
    "dataclasses",
    "json.decoder",
    "difflib",
    "statistics",
    "enum",
    "ast",
    "tokenize",
    "string",
]


@settings(max_examples=300)
@given(texts, st.lists(st.integers(0, 10_000), max_size=8))
@example("x = [\ndef f():\n  pass\n  pass\n", [3])
@example("\r\n\r\ndef f():\r\n    a\r\n    b", [5, 18])
def test_code_cut_in_chunks_has_the_steps_of_the_whole_and_loses_nothing(text: str, cuts: list[int]) -> None:
    whole = split_steps(text, "code")
    assert "".join(whole) == text
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    splitter, closed = StepSplitter("code"), list[str]()
    for start, end in pairwise(places):
        closed += splitter.feed(text[start:end])
        assert closed == whole[: len(closed)]
        assert "".join(closed) + splitter.rest == text[:end]
    assert closed + splitter.end() == whole
    assert splitter.rest == ""


@given(texts)
def test_no_step_of_code_is_blank_unless_the_whole_text_is(text: str) -> None:
    steps = split_steps(text, "code")
    assert all(step.strip() for step in steps) or steps == [text]


@given(texts, texts)
def test_what_follows_never_changes_a_closed_step_of_code(text: str, later: str) -> None:
    closed = StepSplitter("code").feed(text)
    assert split_steps(text + later, "code")[: len(closed)] == closed


@given(texts, st.integers(0, 50))
def test_cutting_goes_on_where_earlier_steps_ended(text: str, at: int) -> None:
    steps = split_steps(text, "code")
    kept = at % (len(steps) + 1)
    going_on = StepSplitter("code", "".join(steps[:kept]))
    closed = going_on.feed("".join(steps[kept:]))
    assert closed + going_on.end() == steps[kept:]


def source_of(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text("utf-8")


def first_line(node: ast.stmt | ast.match_case) -> int:
    if isinstance(node, ast.match_case):
        return node.pattern.lineno
    decorated = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return min(
        [node.lineno, *(one.lineno for one in node.decorator_list)]
        if isinstance(node, decorated)
        else [node.lineno]
    )


def blocks(node: ast.stmt) -> Iterator[Sequence[ast.stmt | ast.match_case]]:
    """The blocks one level below a statement; `elif` is a statement in the tree, but no deeper in the text."""
    for name in ("body", "orelse", "finalbody", "cases"):
        block = getattr(node, name, [])
        if name == "orelse" and len(block) == 1 and isinstance(block[0], ast.If) and block[0].col_offset == 0:
            yield from blocks(block[0])
        else:
            yield block
    for handler in getattr(node, "handlers", []):
        yield handler.body


def expected_starts(source: str) -> set[int]:
    body = ast.parse(source).body
    inner = {first_line(node) for top in body for block in blocks(top) for node in block[1:]}
    return {first_line(node) for node in body} | inner


def step_starts(source: str) -> set[int]:
    starts, line = set(), 1
    for step in split_steps(source, "code"):
        own = step.split("\n")
        lead = next(
            (i for i, one in enumerate(own) if one.strip() and not one.lstrip().startswith("#")), None
        )
        starts |= set() if lead is None else {line + lead}
        line += len(own) - 1
    return starts


@pytest.mark.parametrize("module", MODULES)
def test_real_modules_are_cut_where_the_parser_sees_statements_of_the_two_outer_levels(module: str) -> None:
    source = source_of(module)
    assert step_starts(source) == expected_starts(source)


def test_a_function_in_a_fence_is_cut_between_the_statements_of_its_body() -> None:
    text = (
        "Let me see.\n\nFirst:\n```python\nimport re\n# the words\n@cached\ndef f(s):\n    '''Words.\n\n    ```\n    '''\n"
        "    found = re.findall(\n        r'\\w+',\ns)\n    # empty?\n    if found:\n        return 1\n    else:\n"
        "        return 0\n```\n\nThat is all.\n"
    )
    assert split_steps(text, "code") == [
        "Let me see.\n\n",
        "First:\n",
        "```python\nimport re\n",
        "# the words\n@cached\ndef f(s):\n    '''Words.\n\n    ```\n    '''\n",
        "    found = re.findall(\n        r'\\w+',\ns)\n",
        "    # empty?\n    if found:\n        return 1\n    else:\n        return 0\n```\n\n",
        "That is all.\n",
    ]


JAVASCRIPT = [
    "import fs from 'fs';\n\n",
    "class Box {\n  constructor(size) { this.size = size; }\n  double() {\n    return 2 * this.size;\n  }\n}\n\n",
    "const box = new Box(2);\nconsole.log(`${box.double()}`);\n",
]
GO = [
    "package main\n\n",
    'import "fmt"\n\n',
    "type Box struct {\n\tsize int\n}\n\n\n",
    "func (b Box) Double() int {\n\tx := 2 * b.size\n\treturn x\n}\n\n",
    "func main() {\n\tfmt.Println(Box{2}.Double())\n}\n",
]


@pytest.mark.parametrize(("name", "steps"), [("javascript", JAVASCRIPT), ("go", GO)])
def test_other_languages_are_cut_at_blank_lines_in_fences_bare_and_while_they_stream(
    name: str, steps: list[str]
) -> None:
    text = "".join(steps)
    assert split_steps(text, "code") == steps
    *inner, last = steps
    fenced = [f"```{name}\n{inner[0]}", *inner[1:], f"{last}```\n"]
    assert split_steps(f"```{name}\n{text}```\n", "code") == fenced
    splitter, closed = StepSplitter("code"), list[str]()
    for character in f"```{name}\n{text}```\n":
        closed += splitter.feed(character)
    assert closed + splitter.end() == fenced


@pytest.mark.parametrize(
    ("line", "python"),
    [
        ("class Box:", True), ("class Box(Base):", True), ("class Box[T]:", True), ("import os", True),
        ("import os; import re", True), ("import os  # from;", True), ("from os import path", True),
        ("class Box {", False), ("class Box extends Base {", False), ("class warfare it is", False),
        ("import fs from 'fs';", False), ("import java.util.List;", False), ('import "fmt"', False), ("package main", False),
    ],
)  # fmt: skip
def test_the_first_line_of_a_text_without_fences_tells_python_from_other_languages(
    line: str, python: bool
) -> None:
    assert is_code(line) is python


def test_other_languages_are_cut_at_blank_lines_and_their_fence_ends_them() -> None:
    text = "```js\nlet a = 1\nlet b = 2\n\nlet c = 3\n```\nDone."
    assert split_steps(text, "code") == ["```js\nlet a = 1\nlet b = 2\n\n", "let c = 3\n```\n", "Done."]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ('"""\n  ~~~\n```\n"""\nx = 1\n', ['"""\n  ~~~\n```\n"""\n', "x = 1\n"]),
        ("    y = x\n    return y\n\ndef main():\n    pass\n", ["    y = x\n", "    return y\n\n", "def main():\n    pass\n"]),
        ("x = 1\ny = 2\n```\nThis adds.\n", ["x = 1\n", "y = 2\n```\n", "This adds.\n"]),
        ("def f(\ndef g():\n    a\n    b\n", ["def f(\n", "def g():\n    a\n", "    b\n"]),
        ("x = 'open\ny = 1\n", ["x = 'open\n", "y = 1\n"]),
        ("x = 1  # to \\\ny = 1\n", ["x = 1  # to \\\n", "y = 1\n"]),
        ("x = 1 + \\\n2\ny = 'a\\\nb'\n", ["x = 1 + \\\n2\n", "y = 'a\\\nb'\n"]),
    ],
    ids=["fences in a string", "body without its head", "fence closed only", "open bracket", "open string", "comment", "joined lines"],
)  # fmt: skip
def test_code_without_a_fence(text: str, steps: list[str]) -> None:
    assert split_steps(text, "code") == steps


def work(program: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Characters of the lines that were read, and calls made, when `program` comes character by character."""
    read, calls, original = 0, 0, CodeSteps.read

    def counted(self: CodeSteps, line: str) -> None:
        nonlocal read
        read += len(line)
        original(self, line)

    def profiled(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    monkeypatch.setattr(CodeSteps, "read", counted)
    splitter = StepSplitter("code")
    sys.setprofile(profiled)
    try:
        for character in program:
            splitter.feed(character)
        splitter.end()
    finally:
        sys.setprofile(None)
    monkeypatch.undo()
    return read, calls


@pytest.mark.parametrize("line", ["x = 1\n", "    y = f(a, 'b')  # c\n", "a = [\n", '"""\n', "x" * 500])
def test_the_work_grows_with_the_length_of_the_program_and_each_line_is_read_once(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = (line * (size // len(line)) for size in (4_000, 8_000))
    (read_small, calls_small), (read_large, calls_large) = work(small, monkeypatch), work(large, monkeypatch)
    assert (read_small, read_large) == (len(small), len(large))
    assert calls_large < 2.1 * calls_small
