"""Unit tests in a process of their own: right code passes, and nothing else does or gets away."""

import os
import resource
import runpy
import sys
import time
from pathlib import Path as File

import pytest

from adaptive_middleware.types import Path, Request, Verdict
from adaptive_middleware.verify import unit_tests_runner
from adaptive_middleware.verify.unit_tests import code_of, unit_tests

TESTS = "assert double(2) == 4\nassert double(-1) == -2\n"
RIGHT = "def double(x):\n    return 2 * x\n"


def verdict(code: str, tests: str = TESTS, *, seconds: float = 10.0, memory_mb: int = 512) -> Verdict:
    (found,) = unit_tests(tests, seconds, memory_mb).verify(Request("?"), [Path((code,))])
    return found


@pytest.mark.parametrize(
    ("code", "passed"),
    [
        (RIGHT, True),
        (f"Here it is:\n```python\n{RIGHT}```\nDone.", True),
        ("def double(x):\n    return x + 2\n", False),
        ("def double(x)\n", False),
        ("import sys\nsys.exit(0)\n", False),
        ("import os\nos._exit(0)\n", False),
        (f"{RIGHT}input()\n", False),
    ],
)
def test_only_code_on_which_the_tests_run_to_the_end_passes(code: str, passed: bool) -> None:
    assert verdict(code).passed is passed


def test_the_detail_says_what_went_wrong() -> None:
    assert "AssertionError" in verdict("double = abs\n").detail
    assert verdict("\n").detail == "no code in the answer"
    assert verdict("import os\nos._exit(3)\n").detail == "exit status 3"


def test_code_that_does_not_end_is_ended_with_all_it_started(tmp_path: File) -> None:
    place = tmp_path / "child"
    code = "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    code += f"open({str(place)!r}, 'w').write(str(child.pid))\nwhile True: pass\n"
    found = verdict(code, seconds=1.0)
    assert found == Verdict(passed=False, detail="not finished after 1 s")
    pid = int(place.read_text())
    for _ in range(500):
        stat = File(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().split()[2] == "Z":
            return
        time.sleep(0.01)
    pytest.fail("the child of the answer's code is still running")


def test_memory_and_files_are_bounded() -> None:
    assert "MemoryError" in verdict(f"{RIGHT}big = bytearray(2**31)\n").detail
    assert verdict(f"{RIGHT}open('x', 'wb').write(b'0' * 2**25)\n").passed is False


def test_nothing_of_the_caller_s_environment_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert verdict("import os\n", "assert 'OPENAI_API_KEY' not in os.environ").passed is True


def test_functions_and_unittest_cases_are_run() -> None:
    failing = "def test_it():\n    assert double(1) == 3\n"
    assert verdict(RIGHT, failing).passed is False
    assert verdict(RIGHT, failing.replace("3", "2")).passed is True
    assert verdict(RIGHT, "def test_given(x):\n    assert False\n").passed is True
    case = "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        self.assertEqual(double(1), 2)\n"
    main = "if __name__ == '__main__':\n    unittest.main()\n"
    assert verdict(RIGHT, case + main).passed is True
    assert verdict("def double(x):\n    return x\n", case + main).passed is False


def test_an_answer_s_own_tests_and_main_do_not_run() -> None:
    own = f"{RIGHT}def test_mine():\n    assert False\nif __name__ == '__main__':\n    raise ValueError\n"
    assert verdict(own).passed is True


def test_blocks_of_other_languages_are_no_code() -> None:
    assert code_of("```text\nhello\n```") == ""
    assert verdict("```text\nhello\n```").passed is False


def test_an_interpreter_that_cannot_be_started_is_no_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    found = verdict(RIGHT)
    assert found.passed is None
    assert "could not be started" in found.detail


def test_the_runner_runs_an_answer_and_its_tests_in_one_place(tmp_path: File) -> None:
    (tmp_path / "answer.py").write_text(RIGHT)
    (tmp_path / "tests.py").write_text(
        TESTS + "def test_more():\n    with open('ran', 'w') as f: f.write('x')\n"
    )
    here, main = File.cwd(), sys.modules["__main__"]
    os.chdir(tmp_path)
    try:
        unit_tests_runner.run(tmp_path)
        (tmp_path / "tests.py").write_text("raise SystemExit('no')")
        with pytest.raises(SystemExit):
            unit_tests_runner.run(tmp_path)
    finally:
        os.chdir(here)
        sys.modules["__main__"] = main
    assert (tmp_path / "ran").read_text() == "x"


def test_the_runner_limits_itself_and_leaves_its_secret_at_the_end(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    monkeypatch.setattr(sys, "argv", ["runner", str(tmp_path), "secret", "1.5", "100"])
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    (tmp_path / "answer.py").write_text(RIGHT)
    (tmp_path / "tests.py").write_text(TESTS)
    runpy.run_path(str(unit_tests_runner.__file__), run_name="__main__")
    assert (tmp_path / "done").read_text() == "secret"
    assert limits[resource.RLIMIT_CPU] == (3, 3)
    assert limits[resource.RLIMIT_AS] == (100 * 2**20, 100 * 2**20)
    assert limits[resource.RLIMIT_CORE] == (0, 0)
