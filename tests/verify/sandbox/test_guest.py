"""The guest, run here on pipes of this process: what it answers, and what tests make of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
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


def test_a_fork_waits_for_the_next_tests_and_learns_nothing_from_those_before() -> None:
    told = b"V" + to_bytes(({"f": 5}, {}))
    first: list[object] = ["fork check", "import math\nmath.kept = 1\nassert f == 5", "", [], ""]
    second: list[object] = [
        "fork check",
        "import math\nassert f == 5 and not hasattr(math, 'kept')",
        "",
        [],
        "",
    ]
    answered, status = apart(first, told, second, told, second, told)
    replies = list(frames(answered))
    assert [reply[:1] for reply in replies] == [b"+", *[b"C", b"D"] * 3]
    assert {replies[at] for at in (2, 4, 6)} == {b"D" + to_bytes(("pass", ""))}
    assert status == 0


def test_a_guest_that_was_asked_too_early_prepares_before_it_forks_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done, ends = list[str](), iter([guest._CHECKED, guest._CHECKED, guest._CLOSED])

    def fork() -> int:
        done.append("fork")
        return 1

    monkeypatch.setattr(os, "fork", fork)
    monkeypatch.setattr(guest, "_prepare", lambda _: done.append("prepare"))
    monkeypatch.setattr(guest, "_ended", lambda *_: next(ends))
    assert guest._fork_check(guest.Pipe(-1, -1), "", "", [], "") is False
    assert done == ["fork", "prepare", "fork", "prepare", "fork"]


def test_a_guest_that_nobody_waits_for_rehearses_and_forgets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    requests, asked = os.pipe()
    seen: list[str] = []
    monkeypatch.setattr(guest, "_COMMON", ("math",))
    monkeypatch.setattr(guest, "check", lambda *said: seen.append(check(*said)[0]))
    main = sys.modules["__main__"]
    pipe = guest.Pipe(requests, asked)
    guest._prepare(pipe)
    guest._prepare(pipe)
    assert (seen, sys.modules["__main__"]) == (["pass"], main)
    os.write(asked, b"x")
    guest._prepare(guest.Pipe(requests, asked))
    assert seen == ["pass"]
    for number in (requests, asked):
        os.close(number)


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
