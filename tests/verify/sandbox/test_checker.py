"""Tests that are run against an answer in another process, which is this one here: their verdicts."""

import os
import sys
from functools import partial

import pytest

from adaptive_middleware.verify.sandbox import guest
from adaptive_middleware.verify.sandbox.checker import check
from adaptive_middleware.verify.sandbox.codec import to_bytes
from adaptive_middleware.verify.sandbox.replies import Answer, reply


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("__main__", "answer"):
        monkeypatch.setitem(sys.modules, name, sys.modules["__main__"])
    for name in ("stdin", "stdout"):
        monkeypatch.setattr(sys, name, getattr(sys, name))


class Local:
    """An answer in this process, asked as a checker asks."""

    def __init__(self, code: str) -> None:
        self.answer = Answer()
        self.answer.load(code)
        (self.reader, self.writer), self.replies = os.pipe(), 0

    def __call__(self, request: bytes) -> bytes:
        guest.Pipe(-1, self.writer).write(*reply(self.answer, request))
        size = int.from_bytes(os.read(self.reader, 4), "big")
        return os.read(self.reader, size)


def verdict(
    code: str, tests: str, prelude: str = "", entries: list[str] | None = None, last: str = ""
) -> tuple[str, str]:
    local = Local(code)
    try:
        return check(local, tests, prelude, entries or [], last)
    finally:
        os.close(local.reader)
        os.close(local.writer)


@pytest.mark.parametrize(
    ("code", "tests", "kind"),
    [
        ("def f(x): return x + 1", "assert f(1) == 2", "pass"),
        ("def f(x): return x", "assert f(1) == 2", "wrong"),
        ("def f(x): return 1 / 0", "assert f(1) == 2", "error"),
        ("def f(x): raise MemoryError", "assert f(1) == 2", "memory"),
        ("def g(x): return x", "assert f(1) == 2", "error"),
        ("def f(x): return None", "assert f(1)[0] == 2", "error"),
        ("def f(x): return x", "assert f(lambda: 1) == 2", "unsupported"),
        ("class I(int):\n    def __eq__(s, o): return True\ndef f(x): return I(1)", "assert f(1) == 2", "unsupported"),
        ("class I:\n    def __sub__(s, o): return 0\ndef f(x): return I()", "assert abs(f(1) - 2) < 1", "unsupported"),
        ("class I:\n    def __sub__(s, o): return 0\ndef f(x): return I()", "try:\n    f(1) - 2\nexcept: pass", "unsupported"),
        ("def f(x): return x", "def f(", "unverified"),
        ("def f(x): return x", "raise ValueError", "unverified"),
        ("def f(x): return x", "assert True", "useless"),
        ("x = 1", "assert x == 1", "pass"),
        ("x = 2", "assert x == 1", "wrong"),
        ("def f(x): return x", "def test_it():\n    assert f(1) == 1\ndef test_given(x):\n    assert 0", "pass"),
        ("def f(x): return x", "import sys\nassert f(1)\nsys.exit(0)", "pass"),
        ("def f(x): return x", "import sys\nassert f(1)\nsys.exit('bad')", "wrong"),
        ("def len(x): return 3\ndef f(x): return []", "assert len(f(1)) == 3", "wrong"),
        ("class math:\n    isclose = lambda *a: True\ndef f(x): return 5", "assert math.isclose(f(1), 2)", "wrong"),
        ("import sys\ndef f(x): raise ValueError('no')", "try:\n    f(1)\nexcept ValueError as e: assert 'no' in str(e)", "pass"),
        ("class Full(ValueError): pass\ndef f(x): raise Full", "try:\n    f(1)\nexcept Full: pass", "pass"),
        ("def f(x): raise UnicodeDecodeError('utf8', b'', 0, 1, 'x')", "try:\n    f(1)\nexcept RuntimeError: pass", "pass"),
        ("def f(x): raise ExceptionGroup('g', [OSError()])", "try:\n    f(1)\nexcept* RuntimeError: pass", "pass"),
    ],
)  # fmt: skip
def test_the_verdict_of_tests(code: str, tests: str, kind: str) -> None:
    assert verdict(code, tests)[0] == kind


def test_objects_of_an_answer_can_be_used_in_every_way_that_only_tells() -> None:
    code = """
class Box:
    def __init__(self, *items): self.items, self.size = list(items), len(items)
    def __len__(self): return len(self.items)
    def __iter__(self): return iter(self.items)
    def __getitem__(self, at): return self.items[at]
    def __setitem__(self, at, item): self.items[at] = item
    def __delitem__(self, at): del self.items[at]
    def __bool__(self): return bool(self.items)
    def __str__(self): return 'box'
    def __repr__(self): return 'Box()'
    def __enter__(self): return self
    def __exit__(self, *error): self.items.append('left')
    def first_of(self, other): return other.items[0]
"""
    tests = """
box = Box(1, 2)
assert (len(box), list(box), box[1], 2 in box, 3 in box, bool(box), str(box), repr(box)) == (
    2, [1, 2], 2, True, False, True, 'box', 'Box()')
box[0] = 7
del box[1]
box.size = 9
assert (box.items, box.size, Box(5).first_of(box)) == ([7], 9, 7)
with box as same:
    assert same.items == [7]
assert box.items == [7, 'left']
assert next(iter(box)) == 7
"""
    assert verdict(code, tests) == ("pass", "")
    assert verdict("def count():\n    yield 4", "it = count()\nassert next(it) == 4") == ("pass", "")


def test_only_entries_are_asked_for_and_prelude_names_are_the_checker_s() -> None:
    check_it = "def check(candidate):\n    assert helper(candidate(1)) == 3\n"
    code = "def f(x): return x + 1\ndef helper(x): return 3\n"
    prelude = "def helper(x): return x + 1\ndef f(x):\n    '''To be written.'''\n"
    assert verdict(code, check_it, prelude, ["f"], "check(f)") == ("pass", "")
    assert verdict(code.replace("x + 1", "x + 5"), check_it, prelude, ["f"], "check(f)")[0] == "wrong"


def test_an_answer_that_speaks_for_itself_cannot_replace_more_than_was_asked_for() -> None:
    forged = to_bytes(({"f": 5, "abs": 3, "check": 1, "__builtins__": 0}, {"f": "ValueError", "abs": "int"}))
    replies = iter([b"V" + forged, b"V" + to_bytes(1)])
    assert check(lambda _: next(replies), "assert abs(-4) == 4 and f", "", [], "")[0] == "pass"
    for told in (b"", b"V", b"Vl1;", b"E" + to_bytes(1), b"E" + to_bytes(([], [], 1, 2)), b"X"):
        scripted = iter([b"V" + to_bytes(({"f": object()}, {}), lambda _: 0), told])
        assert check(partial(next, scripted), "assert f(1) == 1", "", ["f"], "")[0] != "pass"


def test_the_detail_names_the_test_that_failed_and_the_line_of_the_answer() -> None:
    _, detail = verdict("def f(x):\n    return x", "x = 1\nassert f(1) == 2, 'off by one'\n")
    assert detail == "AssertionError: off by one at: assert f(1) == 2, 'off by one'"
    _, detail = verdict("def f(x):\n    return [][0]", "f(1)")
    assert detail == "IndexError: list index out of range (line 2 of the answer) at: f(1)"
