"""The guest, run here on pipes of this process: what it answers, and what tests make of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from adaptive_middleware.verify.sandbox import guest
from adaptive_middleware.verify.sandbox.checker import check
from adaptive_middleware.verify.sandbox.codec import from_bytes, to_bytes


def framed(*requests: list[object] | bytes) -> bytes:
    """Requests as a guest reads them."""
    written = [request if isinstance(request, bytes) else to_bytes(request) for request in requests]
    return b"".join(len(one).to_bytes(4, "big") + one for one in written)


def apart(*requests: list[object] | bytes, before: str = "", folder: Path | None = None) -> tuple[bytes, int]:
    """What a guest in an interpreter of its own answers, and its exit status.

    For whatever forks: a fork of this process, with all the threads of other tests, may wait for ever for one of them.
    """
    code = f"import os\nfrom adaptive_middleware.verify.sandbox import guest\n{before}\nguest.serve()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=framed(*requests),
        capture_output=True,
        check=False,
        cwd=folder,
        timeout=60,
    )
    return done.stdout, done.returncode


def frames(data: bytes) -> Iterator[bytes]:
    while data:
        size = int.from_bytes(data[:4], "big")
        yield data[4 : 4 + size]
        data = data[4 + size :]


def opened() -> set[int]:
    """File descriptors of this process that are open."""
    return {number for number in range(64) if Path(f"/proc/self/fd/{number}").exists()}


def served(*requests: list[object] | bytes) -> bytes:
    """What `serve` writes on its standard output for these requests on its input; both are put back."""
    kept = [os.dup(number) for number in (0, 1)]
    (requested, asked), (answers, told) = os.pipe(), os.pipe()
    os.write(asked, framed(*requests))
    os.close(asked)
    os.dup2(requested, 0)
    os.dup2(told, 1)
    os.close(told)
    before = opened()
    try:
        guest.serve()
    finally:
        os.dup2(kept[0], 0)
        os.dup2(kept[1], 1)
        for number in opened() - before:
            os.close(number)
    with os.fdopen(answers, "rb") as file:
        return file.read()


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("__main__", "answer"):
        monkeypatch.setitem(sys.modules, name, sys.modules["__main__"])
    for name in ("stdin", "stdout"):
        monkeypatch.setattr(sys, name, getattr(sys, name))


def test_code_is_loaded_and_its_functions_answer() -> None:
    replies = list(
        frames(
            served(["load", "def f(x):\n    print('noise')\n    return [x, -0.0]\n"], ["run", "f", [2**70]])
        )
    )
    assert replies[:2] == [b"+", b"VN"]
    assert from_bytes(replies[2][1:]) == [2**70, -0.0]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def f(x) return x", ("SyntaxError", "SyntaxError", 1)),
        ("x = 1\ny = 1 / 0", ("ZeroDivisionError", "ZeroDivisionError", 2)),
        ("class Mine(KeyError): pass\nraise Mine('k')", ("KeyError", "Mine", 2)),
        (
            "class Bad(Exception):\n    def __str__(self): raise ValueError\nraise Bad",
            ("Exception", "Bad", 3),
        ),
    ],
)
def test_an_error_is_told_by_the_names_of_its_types_and_its_line(
    code: str, told: tuple[str, str, int]
) -> None:
    reply = list(frames(served(["load", code])))[1]
    builtin, own, _, line = from_bytes(reply[1:])
    assert (reply[:1], (builtin, own, line)) == (b"E", told)


def test_a_program_has_its_own_input_and_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert served(["program", "print(input() * 2)", b"ab\n"]) == b"\0\0\0\1+abab\n"


def test_tests_can_be_run_by_a_guest_that_asks_for_the_answer() -> None:
    told = b"V" + to_bytes(({"f": 5}, {"Wrong": "ValueError"}))
    _, asked, done = frames(served(["check", "f, Wrong", "", [], ""], told))
    assert asked == b"C" + to_bytes(["names", ["Wrong", "f"]])
    assert done == b"D" + to_bytes(("pass", ""))


def test_tests_in_a_fork_leave_the_guest_as_it_was() -> None:
    told = b"V" + to_bytes(({"f": 5}, {}))
    answered, _ = apart(["fork check", "assert f == 5", "", [], ""], told, ["run", "f", []])
    replies = list(frames(answered))
    assert [reply[:1] for reply in replies] == [b"+", b"C", b"D", b"E"]
    assert replies[2] == b"D" + to_bytes(("pass", ""))


@pytest.mark.parametrize(
    ("before", "why"), [("", "status 3"), ("os.waitstatus_to_exitcode = lambda _: -24", "in time")]
)
def test_tests_that_end_their_fork_are_told(before: str, why: str) -> None:
    told = b"V" + to_bytes(({}, {}))
    answered, _ = apart(["fork check", "import os\nos._exit(3)", "", [], ""], told, before=before)
    kind, detail = from_bytes(list(frames(answered))[-1][1:])
    assert (kind, why in detail) == ("unverified", True)


def test_a_command_gets_its_input_and_a_copy_of_a_folder(tmp_path: Path) -> None:
    tree, box = tmp_path / "tree", tmp_path / "box"
    for folder in (tree, box):
        folder.mkdir()
    (tree / "a\nfile").write_text("x")
    code = "import os, sys; print([sys.stdin.read(), os.listdir()])"
    answered, status = apart(["command", [sys.executable, "-c", code], b"typed", str(tree)], folder=box)
    assert answered.endswith(b"['typed', ['a\\nfile']]\n")
    assert status == 0
    assert (box / "work" / "a\nfile").read_text() == "x"
    nowhere = str(tmp_path / "nowhere")
    assert apart(["command", ["true"], b"", nowhere], folder=box / "work")[1] == guest.UNCOPIED


class Local:
    """An answer in this process, asked as a checker asks."""

    def __init__(self, code: str) -> None:
        self.answer = guest.Answer()
        self.answer.load(code)
        (self.reader, self.writer), self.replies = os.pipe(), 0

    def __call__(self, request: bytes) -> bytes:
        guest._reply(guest.Pipe(-1, self.writer), self.answer, request)
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
    for reply in (b"", b"V", b"Vl1;", b"E" + to_bytes(1), b"E" + to_bytes(([], [], 1, 2)), b"X"):
        scripted = iter([b"V" + to_bytes(({"f": object()}, {}), lambda _: 0), reply])
        assert check(partial(next, scripted), "assert f(1) == 1", "", ["f"], "")[0] != "pass"


def test_the_detail_names_the_test_that_failed_and_the_line_of_the_answer() -> None:
    _, detail = verdict("def f(x):\n    return x", "x = 1\nassert f(1) == 2, 'off by one'\n")
    assert detail == "AssertionError: off by one at: assert f(1) == 2, 'off by one'"
    _, detail = verdict("def f(x):\n    return [][0]", "f(1)")
    assert detail == "IndexError: list index out of range (line 2 of the answer) at: f(1)"
