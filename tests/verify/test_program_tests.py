"""Programs and repositories: output compared out here, and a command in a copy of a work tree."""

import sys
from pathlib import Path as File

import pytest

from adaptive_middleware.errors import ConfigError
from adaptive_middleware.types import Path, Request, Verdict
from adaptive_middleware.verify.program_tests import program_tests
from adaptive_middleware.verify.repository_tests import repository_tests
from adaptive_middleware.verify.sandbox.choose import probe, sandbox
from adaptive_middleware.verify.sandbox.unsafe import unsafe

CASES = (("1 2\n", "3\n"), (b"4 5", b"9"))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("print(sum(map(int, input().split())), '  \\n\\n')", "pass"),
        ("print(3)", "wrong"),
        ("pass", "no_result"),
        ("import os; os._exit(0)", "no_result"),
        ("print(3); raise SystemExit(1)", "error"),
        ("print(1 / 0)", "error"),
        ("while True: print('x' * 100)", "output_limit"),
        ("import sys; sys.stdout.buffer.write(bytes(range(256)))", "wrong"),
    ],
)
def test_a_program_passes_when_it_writes_what_is_expected(code: str, kind: str) -> None:
    (found,) = program_tests(CASES, seconds=2, where=unsafe()).verify(Request("?"), [Path((code,))])
    assert found.kind == kind
    assert found.detail.startswith("case") == (kind in {"wrong", "no_result", "error"})


def test_without_cases_nothing_is_known() -> None:
    (found,) = program_tests((), where=unsafe()).verify(Request("?"), [Path(("print(1)",))])
    assert found.passed is None


@pytest.fixture
def tree(tmp_path: File) -> File:
    (tmp_path / "package").mkdir()
    (tmp_path / "test_it.py").write_text(
        "from package.code import double\ndef test_it():\n    assert double(2) == 4\n"
    )
    (tmp_path / "a\nname").write_text("a file whose name has two lines")
    (tmp_path / "a\nname").chmod(0o600)
    (tmp_path / "link").symlink_to("/nowhere")
    return tmp_path


def judged(tree: File, code: str) -> Verdict:
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    checks = repository_tests(str(tree), "package/code.py", command, where=unsafe())
    (found,) = checks.verify(Request("?"), [Path((code,))])
    return found


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("def double(x): return 2 * x", "pass"),
        ("def double(x): return x", "wrong"),
        ("import os; os._exit(0)", "no_result"),
        ("import os; os._exit(97)", "unverified"),
        ("import os; os._exit(3)", "error"),
    ],
)
def test_a_command_judges_in_a_copy_of_the_tree(tree: File, code: str, kind: str) -> None:
    assert judged(tree, code).kind == kind
    assert not (tree / "package" / "code.py").exists()


def test_a_sandbox_that_runs_as_another_user_can_read_the_copy(tree: File) -> None:
    if not probe("bwrap").works:
        pytest.skip(f"bubblewrap does not work here: {probe('bwrap').why}")
    tree.chmod(0o700)
    command = ("/bin/sh", "-c", "cat x.py a*name && test ! -w /usr && touch new")
    checks = repository_tests(str(tree), "x.py", command, where=sandbox("bwrap"))
    found = checks.verify(Request("?"), [Path(("x = 1",))])[0]
    assert found.kind == "pass", found
    assert not (tree / "new").exists()


def test_other_commands_are_judged_by_their_status(tree: File) -> None:
    checks = repository_tests(str(tree), "x.py", ("/bin/sh", "-c", "test -f x.py"), where=unsafe())
    assert checks.verify(Request("?"), [Path(("x = 1",))])[0].kind == "pass"


def test_a_file_outside_the_tree_is_refused(tree: File) -> None:
    for folder, file in ((tree, "../x.py"), (tree / "nowhere", "x.py")):
        with pytest.raises(ConfigError, match="is to be written in"):
            repository_tests(str(folder), file, ("true",))
