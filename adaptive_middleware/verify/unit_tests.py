"""Unit tests: an answer's code runs in a sandbox that knows no expected value, and the tests in another.

What the code can do is answer: exit codes, patched modules, objects that equal everything and searches for what is
expected gain nothing. See docs/code.md for the sandboxes, the verdicts, and what tests can use of an answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from adaptive_middleware.code.program import program_of
from adaptive_middleware.errors import SandboxError
from adaptive_middleware.types import Path, Request, Verdict
from adaptive_middleware.verify.judge import Asserts, Judge, verdict
from adaptive_middleware.verify.lasting import Lasting
from adaptive_middleware.verify.sandbox.limits import Limits, Sandbox


@dataclass(frozen=True, slots=True)
class unit_tests:  # noqa: N801 - verifiers read as words
    """The `Verifier` port: an answer passes when `tests`, which share its names, run to the end without an error.

    `tests` is Python source, or `Asserts` with more of it. Functions `test_*` without parameters are called, and
    `unittest.main()` works. Each answer may use `seconds` of CPU time (and 4 times as much by the clock) and `memory_mb`.
    `runs` is how often an answer must pass: more than once finds answers that are not the same each time. `where` is the
    sandbox: the best that works here where left out, and where none works, every verdict is `unverified`, never wrong.
    `lasting` keeps started sandboxes for the next call: one of its own, or one that several verifiers share.

    >>> from adaptive_middleware.verify.sandbox.unsafe import unsafe
    >>> right = unit_tests("assert double(2) == 4", where=unsafe())
    >>> found = right.verify(Request(""), [Path(("def double(x): return 2 * x",)), Path(("import sys; sys.exit(0)",))])
    >>> [(one.passed, one.kind) for one in found]
    [(True, 'pass'), (False, 'no_result')]
    """

    tests: str | Asserts
    seconds: float = 10.0
    memory_mb: int = 1024
    runs: int = 1
    where: Sandbox | None = None
    lasting: Lasting = field(default_factory=Lasting, repr=False, compare=False)

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:  # noqa: ARG002 - the port's
        """One verdict per path; None where the tests could not be run at all."""
        tests = Asserts(self.tests) if isinstance(self.tests, str) else self.tests
        limits = Limits(self.seconds, self.memory_mb)
        codes = [_program(path.text, tests) for path in paths]
        return judged(
            codes,
            limits,
            self.where,
            lambda judge, code: repeated(judge, code, tests, self.runs),
            self.lasting,
        )


def _program(text: str, tests: Asserts) -> str:
    """The program of an answer; where one function is asked for, the prelude is the prompt that it goes on from."""
    return program_of(text, tests.prelude, tests.entries[0]) if tests.entries else program_of(text)


def judged(
    codes: Sequence[str],
    limits: Limits,
    where: Sandbox | None,
    one: Callable[[Judge, str], Verdict],
    lasting: Lasting | None = None,
) -> list[Verdict]:
    """The verdict of `one` on each code, all by one judge, that of `lasting` if given; without code it is `no_result`.

    What ran out of time while the machine was busy with more than it has processors for is run once more, at the end.
    """
    with Lasting(0) if lasting is None else nullcontext(lasting) as kept:
        try:
            judge = kept.judge(where, limits)
        except SandboxError as error:
            return [verdict("unverified", str(error))] * len(codes)
        found = [
            one(judge, code) if code.strip() else verdict("no_result", "no code in the answer")
            for code in codes
        ]
        for index, (code, first) in enumerate(zip(codes, found, strict=True)):
            if first.kind == "timeout" and _busy():
                found[index] = one(judge, code)
    return found


def repeated(judge: Judge, code: str, tests: Asserts, runs: int) -> Verdict:
    """The verdict of several runs: a pass only where all passed."""
    found = judge.asserts(code, tests)
    for run in range(1, runs):
        if not found.passed:
            break
        again = judge.asserts(code, tests)
        found = again if again.passed else replace(again, detail=f"after {run} passes: {again.detail}")
    return found


def _busy() -> bool:
    return os.getloadavg()[0] > (os.cpu_count() or 1)
