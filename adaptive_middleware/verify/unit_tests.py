"""Unit tests: an answer's code, and tests that are run after it in a process of their own.

This is no sandbox: the code has limits of time, memory and file size and an empty environment, but it can read files and reach the
network as you can. Run only what you would run yourself, or run it in a container.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as File

from adaptive_middleware.types import Path, Request, Verdict

_FENCE = re.compile(r"^```[ \t]*(\w*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_PYTHON = ("", "py", "python", "python3")
_RUNNER = File(__file__).with_name("unit_tests_runner.py")
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class unit_tests:  # noqa: N801 - verifiers read as words
    r"""The `Verifier` port: an answer passes when its code and then `tests` run to the end.

    `tests` is Python source that shares its names with the answer's code. Functions `test_*` of it without parameters are
    called, and `unittest.main()` works. `seconds` (wall clock and CPU) and `memory_mb` hold for each answer. POSIX only.

    >>> right = unit_tests("assert double(2) == 4")
    >>> fenced = "So:\n```python\ndef double(x): return 2 * x\n```\n"
    >>> right.verify(Request(""), [Path((fenced,))])[0].passed
    True
    """

    tests: str
    seconds: float = 10.0
    memory_mb: int = 1024

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:  # noqa: ARG002 - the port's
        """One verdict per path; None where the tests could not be run at all."""
        return [self._verdict(code_of(path.text)) for path in paths]

    def _verdict(self, code: str) -> Verdict:
        if not code.strip():
            return Verdict(passed=False, detail="no code in the answer")
        with tempfile.TemporaryDirectory(prefix="adaptive-tests-") as name:
            folder, secret = File(name), secrets.token_hex(16)
            (folder / "answer.py").write_text(code, "utf-8", "surrogatepass")
            (folder / "tests.py").write_text(self.tests, "utf-8", "surrogatepass")
            return self._run(folder, secret)

    def _run(self, folder: File, secret: str) -> Verdict:
        limits = [str(self.seconds), str(self.memory_mb)]
        command = [sys.executable, "-I", "-B", str(_RUNNER), str(folder), secret, *limits]
        with (folder / "output").open("wb") as output:
            try:
                running = subprocess.Popen(  # noqa: S603 - the point of the check; see the module
                    command, cwd=folder, env=_environment(folder), stdin=subprocess.DEVNULL, stdout=output,
                    stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                return Verdict(None, f"the tests could not be started ({error})")
            late = _ended(running, self.seconds)
        said = (folder / "output").read_bytes()[-_SHOWN:].decode(errors="replace").strip()
        if late:
            return Verdict(passed=False, detail=f"not finished after {self.seconds:g} s")
        done = folder / "done"
        passed = running.returncode == 0 and done.is_file() and done.read_text("utf-8") == secret
        return Verdict(passed, "" if passed else said or f"exit status {running.returncode}")


def code_of(text: str) -> str:
    r"""The Python code of an answer: its fenced blocks together, or all of it where there is none.

    >>> code_of("First\n```python\nx = 1\n```\nthen\n```\ny = 2\n```\n```text\nz\n```"), code_of("x = 1")
    ('x = 1\n\ny = 2\n', 'x = 1')
    """
    blocks = [body for language, body in _FENCE.findall(text) if language.lower() in _PYTHON]
    if blocks or _FENCE.search(text):
        return "\n".join(blocks)
    return text


def _environment(folder: File) -> Mapping[str, str]:
    """Nothing of the caller's environment: keys and tokens stay out of reach of a print."""
    return {"HOME": str(folder), "TMPDIR": str(folder), "PATH": os.defpath, "LC_ALL": "C.UTF-8"}


def _ended(running: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait; whether it had to be ended. What it started in its session is ended with it, on every way out."""
    try:
        running.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    return False
