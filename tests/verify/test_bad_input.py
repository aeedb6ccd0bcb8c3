"""Bad input, each with its verdict: of tests, of answers, and of the machine; the rest is in `test_unit_tests.py`."""

import socket
from collections.abc import Iterator
from pathlib import Path as File

import pytest

from adaptive_middleware.types import Path, Request, Verdict
from adaptive_middleware.verify.judge import Asserts, Judge
from adaptive_middleware.verify.program_tests import program_tests
from adaptive_middleware.verify.repository_tests import repository_tests
from adaptive_middleware.verify.sandbox.bwrap import bwrap
from adaptive_middleware.verify.sandbox.checker import check
from adaptive_middleware.verify.sandbox.choose import probe
from adaptive_middleware.verify.sandbox.codec import to_bytes
from adaptive_middleware.verify.sandbox.limits import Limits, Sandbox
from adaptive_middleware.verify.sandbox.unsafe import unsafe

ANY = Request("?")


@pytest.fixture(scope="module", params=[unsafe, bwrap])
def where(request: pytest.FixtureRequest) -> Sandbox:
    made: Sandbox = request.param()
    if made.name == "bwrap" and not probe("bwrap").works:
        pytest.skip(f"bubblewrap does not work here: {probe('bwrap').why}")
    return made


@pytest.fixture(scope="module")
def judge(where: Sandbox) -> Iterator[Judge]:
    own = Judge(where, Limits(seconds=1, memory_mb=256))
    yield own
    own.close()


@pytest.mark.parametrize(
    ("code", "tests", "kind"),
    [
        ("def f(: return 1", "assert f() == 1", "error"),
        ("def f(): return '\0'\n\0", "assert f() == 1", "error"),
        ("def f(): return 10**100000", "assert f() == 10**100000", "pass"),
        ("def f(): return 10**100000 + 1", "assert f() == 10**100000", "wrong"),
        ("def f(): return 10**100000", "assert f() == 1, f'{f()}'", "error"),
        ("def f():\n    a = []\n    a.append(a)\n    return a", "assert f() == [1]", "unsupported"),
        ("def f():\n    a = {}\n    a['a'] = a\n    return a", "assert f() == {}", "unsupported"),
        ("def f():\n    a = ()\n    for _ in range(99): a = (a,)\n    return a", "assert f() == ()", "unsupported"),
        ("def f(): return bytes(range(256))", "assert f() == bytes(range(256))", "pass"),
        ("def f(): return '\\ud800'", "assert f() == '\\ud800'", "pass"),
        ("import sys\ndef f():\n    sys.stdout.buffer.write(bytes(range(256)))\n    return 1", "assert f() == 1", "pass"),
        ("import os\ndef f():\n    open('a\\nb', 'w').close()\n    return os.listdir()", "assert f() == ['a\\nb']", "pass"),
        ("", "f()", "error"),
    ],
)  # fmt: skip
def test_odd_answers_have_their_verdict(judge: Judge, code: str, tests: str, kind: str) -> None:
    found = judge.asserts(code, Asserts(tests))
    assert found.kind == kind, found
    assert found.detail.isprintable()


def test_code_and_tests_that_need_the_network_are_told_apart() -> None:
    if not probe("bwrap").works:
        pytest.skip(f"bubblewrap does not work here: {probe('bwrap').why}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reach = f"socket.create_connection(('127.0.0.1', {listener.getsockname()[1]}), 1)"
        judge = Judge(bwrap(), Limits(seconds=1, memory_mb=256))
        answer = judge.asserts(
            f"import socket\ndef f():\n    {reach}\n    return 1", Asserts("assert f() == 1")
        )
        tests = judge.asserts("def f(): return 1", Asserts(f"import socket\nassert f() == 1\n{reach}"))
        judge.close()
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert (answer.kind, answer.passed) == ("error", False)
    assert (tests.kind, tests.passed) == ("unverified", None)
    assert tests.detail.startswith("the tests need what no sandbox gives, such as a network: PermissionError")


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        ("import socket; raise socket.gaierror(-3, 'no names')", "unverified"),
        ("import urllib.error; raise urllib.error.URLError('no network')", "unverified"),
        ("raise OSError(101, 'unreachable')", "unverified"),
        ("open('/nowhere/' + str(f))", "error"),
    ],
)
def test_tests_that_fail_for_want_of_a_network_say_nothing_of_the_answer(raised: str, kind: str) -> None:
    told = b"V" + to_bytes(({"f": 5}, {}))
    assert check(lambda _: told, f"assert f == 5\n{raised}", "", ["f"], "")[0] == kind


def test_an_answer_that_raises_as_a_refused_call_does_is_an_error(judge: Judge) -> None:
    found = judge.asserts("def f(): raise PermissionError(1, 'no')", Asserts("f()"))
    assert (found.kind, found.passed) == ("error", False)


def program(where: Sandbox, code: str, expected: bytes) -> Verdict:
    verifier = program_tests(((b"\xff\0", expected),), seconds=2, where=where)
    (found,) = verifier.verify(ANY, [Path((code,))])
    verifier.lasting.close()
    return found


def test_programs_may_read_and_write_what_is_no_text(where: Sandbox) -> None:
    code = "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read() * 2)"
    assert program(where, code, b"\xff\0\xff\0").kind == "pass"
    found = program(where, code, b"text")
    assert (found.kind, found.detail) == ("wrong", "case 1: wrote b'\\xff\\x00\\xff\\x00', expected b'text'")


def test_files_of_a_repository_may_have_names_of_two_lines(tmp_path: File, where: Sandbox) -> None:
    (tmp_path / "a\nb.txt").write_text("4")
    command = ("/bin/sh", "-c", "cat a*b.txt c*d.py && test -f \"$(printf 'c\\nd.py')\"")
    checks = repository_tests(str(tmp_path), "c\nd.py", command, where=where)
    (found,) = checks.verify(ANY, [Path(("x = 1",))])
    assert found.kind == "pass", found
