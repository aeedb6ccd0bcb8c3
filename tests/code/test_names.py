"""What can be told of code before it is run: whether it may still become a program, and which names it lacks."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptive_middleware.code.names import defined, functions, undefined
from adaptive_middleware.code.parsing import compiles, parsed, quiet, standing


def source_of(module: str) -> str:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text("utf-8")


LINES = source_of("textwrap").splitlines(keepends=True)


@pytest.mark.parametrize("module", ["bisect", "string", "keyword"])
def test_no_beginning_of_a_program_is_broken(module: str) -> None:
    lines = source_of(module).splitlines(keepends=True)
    found = [standing("".join(lines[:end])) for end in range(len(lines) + 1)]
    assert "broken" not in found
    assert found[-1] == "whole"
    assert [one == "whole" for one in found] == [
        parsed("".join(lines[:end])) is not None for end in range(len(lines) + 1)
    ]


@settings(max_examples=40)
@given(st.integers(0, len(LINES)), st.integers(0, len(LINES)))
def test_once_broken_always_broken(end: int, later: int) -> None:
    beginning = "".join(LINES[:end])
    if standing(beginning + "x = = 1\n") != "broken":  # inside a string
        beginning = ""
    assert standing(beginning + "x = = 1\n" + "".join(LINES[:later])) == "broken"


@pytest.mark.parametrize(
    "module", ["textwrap", "heapq", "dataclasses", "difflib", "statistics", "enum", "ast", "json.decoder"]
)
def test_modules_that_work_use_no_name_that_is_not_defined(module: str) -> None:
    assert undefined(source_of(module)) == ()


def test_without_its_imports_a_program_lacks_what_they_define() -> None:
    code = "".join(line for line in LINES if not line.startswith("import "))
    assert undefined(code) == ("re",)
    assert "re" in defined("".join(LINES))
    tree = parsed("".join(LINES))
    assert tree is not None
    assert {"TextWrapper", "wrap", "dedent"} <= functions(tree)


@pytest.mark.parametrize(
    ("code", "missing"),
    [
        ("def f():\n    return g()\ndef g(): pass", ()),
        ("class A:\n    x = 1\n    def f(self):\n        return x", ("x",)),
        ("def f():\n    y = 1\n    def g():\n        return y + z\n    return g", ("z",)),
        ("[i for i in range(3)]\nprint(i)", ("i",)),
        ("try:\n    pass\nexcept E as e:\n    print(e)", ("E",)),
        ("def f():\n    global n\n    n = 1\nprint(n, __name__)", ()),
        ("import a.b\nfrom c import d as e\na.b, e, d", ("d",)),
        ("x += 1", ()),
        ("x = 1\ndef f():\n    nonlocal x", ()),
    ],
)
def test_names_follow_pythons_scopes(code: str, missing: tuple[str, ...]) -> None:
    assert undefined(code) == missing


def test_a_program_whose_scopes_contradict_each_other_defines_nothing() -> None:
    assert defined("def f(x):\n    global x") == frozenset()
    assert not compiles("def f(x):\n    global x")


def test_one_thread_at_a_time_sets_the_filters_of_warnings_aside_and_puts_them_back() -> None:
    before, read = list(warnings.filters), Event()

    def reads() -> None:
        assert parsed("x = '\\d'") is not None
        read.set()

    with quiet():
        thread = Thread(target=reads)
        thread.start()
        assert not read.wait(0.2)
    thread.join()
    assert read.is_set()
    assert list(warnings.filters) == before
