"""Unit tests in two processes: right code passes, and nothing else does, whatever it tries."""

import os
from collections.abc import Iterator

import pytest

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.types import Path, Request, Verdict
from adaptive_middleware.verify import judge as judging
from adaptive_middleware.verify import lasting as lasting_module
from adaptive_middleware.verify import unit_tests as module
from adaptive_middleware.verify.judge import Asserts, Judge, shown
from adaptive_middleware.verify.sandbox.bwrap import bwrap
from adaptive_middleware.verify.sandbox.choose import probe
from adaptive_middleware.verify.sandbox.codec import to_bytes
from adaptive_middleware.verify.sandbox.limits import Ended, Limits, Sandbox, Session
from adaptive_middleware.verify.sandbox.unsafe import unsafe
from adaptive_middleware.verify.sandbox.warm import warm
from adaptive_middleware.verify.stub import stubs
from adaptive_middleware.verify.unit_tests import unit_tests

TESTS = "assert double(2) == 4\nassert double(-1) == -2\n"
RIGHT = "def double(x):\n    return 2 * x\n"
LIMITS = Limits(seconds=1, memory_mb=256)


@pytest.fixture(scope="module", params=[unsafe, bwrap])
def judge(request: pytest.FixtureRequest) -> Iterator[Judge]:
    made: Sandbox = request.param()
    if made.name == "bwrap" and not probe("bwrap").works:
        pytest.skip(f"bubblewrap does not work here: {probe('bwrap').why}")
    with warm(made, LIMITS, 2) as ready:
        own = Judge(ready, LIMITS)
        yield own
        own.close()


def verdict(code: str, tests: str = TESTS, **named: object) -> Verdict:
    (found,) = unit_tests(tests, where=unsafe(), **named).verify(Request("?"), [Path((code,))])  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (RIGHT, "pass"),
        ("def double(x):\n    return x + 2\n", "wrong"),
        ("def double(x)\n", "error"),
        ("def triple(x): return 3 * x\n", "error"),
        ("def double(x): return [0] * 10**9\n", "memory"),
        ("import sys\nsys.exit(0)\n", "no_result"),
        ("import os\nos._exit(0)\n", "no_result"),
        ("import os\ndef double(x): os._exit(0)\n", "no_result"),
        ("def double(x):\n    while True: pass\n", "timeout"),
        ("def double(x):\n    print('x' * 10**7)\n", "output_limit"),
        ("def double(x): return 'x' * 10**7\n", "output_limit"),
        ("import os\ndef double(x): os.kill(os.getpid(), 11)\n", "crashed"),
        (f"{RIGHT}input()\n", "error"),
        ("class Same(int):\n    __eq__ = lambda *a: True\ndef double(x): return Same()\n", "unsupported"),
        ("class Any:\n    __eq__ = lambda *a: True\ndouble = lambda x: Any()\n", "unsupported"),
        ("import json\njson.dumps = lambda *a: '4'\ndef double(x): return 5\n", "wrong"),
        ("import builtins\nbuiltins.len = lambda x: 4\ndef double(x): return [5]\n", "no_result"),
        (f"{RIGHT}def test_mine():\n    assert False\nif __name__ == '__main__':\n    raise ValueError\n", "pass"),
    ],
)  # fmt: skip
def test_only_code_that_answers_rightly_passes(judge: Judge, code: str, kind: str) -> None:
    found = judge.asserts(code, Asserts(TESTS))
    assert found.kind == kind
    assert found.passed is ({"pass": True, "unsupported": None}.get(kind, False))
    assert judge.asserts(RIGHT, Asserts(TESTS)).passed is True


HUNTS = {
    "objects": "import gc\nfound = [o for o in gc.get_objects() if type(o) in (list, tuple, dict) and int('42' * 2) in o]",
    "frames": """
import sys
found, frame = [], sys._getframe()
while frame:
    found += [v for v in frame.f_locals.values() if type(v) is int and v == int('42' * 2)]
    frame = frame.f_back
""",
    "pipes": """
import os
found = []
for n in range(64):
    try:
        os.set_blocking(n, False)
        found += [d for d in [os.read(n, 99)] if b'1092' in d]
    except OSError:
        pass
""",
}


@pytest.mark.parametrize("hunt", HUNTS.values(), ids=HUNTS)
def test_an_answer_finds_no_expected_value(judge: Judge, hunt: str) -> None:
    body = "\n".join("    " + line for line in hunt.splitlines())
    code = f"def double(x):\n{body}\n    return int('42' * 2) if found else 0\n"
    assert judge.asserts(code, Asserts("assert double(1) == 4242")).kind in {"wrong", "error", "no_result"}


@pytest.mark.parametrize(
    ("tests", "detail"),
    [
        ("assert True", "ask nothing of the answer"),
        ("try:\n    assert double(3) == 7\nexcept Exception:\n    pass", "pass whatever the answer does"),
        ("while True: pass", "did not end"),
        ("double(1)\nimport time\ntime.sleep(60)", "did not end"),
        ("def broken(", "cannot be run"),
        ("import os\nos._exit(0)", "ended their own process"),
        ("double(1)\nimport os\nos._exit(77)", "tests ended"),
    ],
)
def test_tests_that_can_tell_nothing_say_so(tests: str, detail: str) -> None:
    judge = Judge(unsafe(), Limits(seconds=0.1 if "sleep" in tests else 1))
    found = judge.asserts("def double(x):\n    if x == 3: return 1\n    return 7919\n", Asserts(tests))
    judge.close()
    assert (found.passed, found.kind) == (None, "unverified")
    assert detail in found.detail or "os._exit(77)" in tests


def test_what_is_known_of_tests_is_bounded(monkeypatch: pytest.MonkeyPatch, judge: Judge) -> None:
    monkeypatch.setattr(judging, "_REMEMBERED", 2)
    judge._useless.clear()
    for number in range(3):
        assert judge.asserts(RIGHT, Asserts(f"assert double({number}) == {2 * number}")).kind == "pass"
    assert list(judge._useless.values()) == [False]


def test_tests_that_a_model_wrote_get_a_sandbox_of_their_own(judge: Judge) -> None:
    kept = len(judge._idle)
    assert judge.asserts(RIGHT, Asserts(TESTS, trusted=False)).kind == "pass"
    assert (
        judge.asserts("import os\ndef double(x): os._exit(0)", Asserts(TESTS, trusted=False)).kind
        == "no_result"
    )
    assert len(judge._idle) == kept


def test_tests_that_go_on_when_the_answer_has_ended_are_ended(judge: Judge) -> None:
    stubborn = "while True:\n    try:\n        double(1)\n    except BaseException:\n        pass"
    assert judge.asserts("import os\ndef double(x): os._exit(0)", Asserts(stubborn)).kind == "no_result"
    assert judge.asserts(RIGHT, Asserts(TESTS)).kind == "pass"


def test_a_kept_process_that_died_is_replaced(judge: Judge) -> None:
    judge.asserts(RIGHT, Asserts(TESTS))
    judge._idle[-1].close()
    assert judge.asserts(RIGHT, Asserts(TESTS)).kind == "pass"


def test_an_answer_that_is_not_the_same_each_time_is_found_by_running_it_again() -> None:
    code = "import time\nat = time.time_ns()\ndef double(x): return 2 * x if at // 10**6 % 2 else 0\n"
    assert {verdict(code, runs=24).kind for _ in range(2)} == {"wrong"}
    assert verdict(RIGHT, runs=3).kind == "pass"


def test_the_detail_says_what_went_wrong() -> None:
    assert verdict("double = abs\n").detail == "AssertionError: at: assert double(2) == 4"
    assert verdict("x = 1\ny = 1 / 0\n").detail == "ZeroDivisionError: division by zero (line 2)"
    assert verdict("\n") == Verdict(passed=False, detail="no code in the answer", kind="no_result")
    assert verdict("import os\nos._exit(3)\n").detail == "exit status 3"
    assert shown("a\x1b]0;title\x07\n\u202eb") == "a]0;title b"


def test_functions_and_unittest_cases_are_run() -> None:
    failing = "def test_it():\n    assert double(1) == 3\n"
    assert verdict(RIGHT, failing).passed is False
    assert verdict(RIGHT, failing.replace("3", "2")).passed is True
    case = "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        self.assertEqual(double(1), 2)\n"
    main = "if __name__ == '__main__':\n    unittest.main()\n"
    assert verdict(RIGHT, case + main).passed is True
    assert verdict("def double(x):\n    return x\n", case + main).passed is False


def test_blocks_of_other_languages_are_no_code() -> None:
    assert verdict("```text\nhello\n```").kind == "no_result"
    assert verdict(f"Here it is:\n```python\n{RIGHT}```\nDone.").passed is True


class Broken:
    """A sandbox that does not start, or whose guest ends at once."""

    name = "broken"

    def __init__(self, after: int) -> None:
        self.left = after

    def open(self, limits: Limits) -> Session:
        self.left -= 1
        if self.left < 0:
            raise SandboxError("no namespaces here")
        return unsafe().open(limits)


@pytest.mark.parametrize("after", [0, 1])
def test_a_sandbox_that_fails_is_no_wrong_answer(after: int) -> None:
    (found,) = unit_tests(TESTS, where=Broken(after)).verify(Request("?"), [Path((RIGHT,))])
    assert found == Verdict(None, "no namespaces here", "unverified")
    (found,) = unit_tests(TESTS, where=bwrap(program="/bin/false", interpreter="/usr/bin/python3")).verify(
        Request("?"), [Path((RIGHT,))]
    )
    assert (found.passed, found.kind) == (None, "unverified")


def test_without_any_sandbox_nothing_is_run_and_every_verdict_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none() -> Sandbox:
        raise SandboxError("no sandbox works here: apt install bubblewrap")

    monkeypatch.setattr(lasting_module, "sandbox", none)
    found = unit_tests(TESTS).verify(Request("?"), [Path((RIGHT,))] * 2)
    assert found == [Verdict(None, "no sandbox works here: apt install bubblewrap", "unverified")] * 2


def test_what_ran_out_of_time_on_a_busy_machine_is_run_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (1e6, 0, 0))
    seen: list[str] = []

    def late(judge: Judge, code: str) -> Verdict:
        seen.append(code)
        return Verdict(passed=False, kind="timeout") if len(seen) < 3 else Verdict(passed=True, kind="pass")

    found = module.judged(["a", "b"], LIMITS, unsafe(), late)
    assert seen == ["a", "b", "a", "b"]
    assert [one.kind for one in found] == ["pass", "pass"]


def test_an_error_that_cannot_be_read_is_an_error() -> None:
    collisions = to_bytes(dict.fromkeys(range(0, 2000 * (2**61 - 1), 2**61 - 1)))
    for told in (b"zzz", collisions, to_bytes(1), to_bytes((1, 2)), to_bytes((["x"], "x", "x", 1))):
        assert judging._raised(b"E" + told).kind == "error"
        assert judging._done(b"D" + told).kind == "unverified"
    assert judging._done(b"D" + to_bytes(("perfect", "said the tests"))).kind == "unverified"
    assert judging._done(b"D" + to_bytes(("wrong", "x"))) == Verdict(passed=False, detail="x", kind="wrong")
    assert judging.ended(Ended("broken", 1, "no")).passed is None


def test_a_stub_is_a_session_that_tells_one_thing() -> None:
    one = next(stubs())
    one.send(b"l1;s4;call")
    assert (one.receive(1), one.alive(), one.finish(b"", 1)) == (b"VN", True, Ended("ended"))
    one.close()
