"""Programs: an answer reads standard input and writes standard output, and its output is compared out here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from adaptive_middleware.code.program import program_of
from adaptive_middleware.types import Path, Request, Verdict
from adaptive_middleware.verify.judge import Judge, verdict
from adaptive_middleware.verify.lasting import Lasting
from adaptive_middleware.verify.sandbox.limits import Ended, Limits, Sandbox
from adaptive_middleware.verify.unit_tests import judged


@dataclass(frozen=True, slots=True)
class program_tests:  # noqa: N801 - verifiers read as words
    r"""The `Verifier` port: an answer passes when, for each case, it writes the expected text and ends with status 0.

    `cases` are pairs of input and expected output, text or bytes. Blanks at the ends of lines and empty lines at the end do
    not count. Limits, `where` and `lasting` as in `unit_tests`; every case is a new process in a new sandbox.

    >>> from adaptive_middleware.verify.sandbox.unsafe import unsafe
    >>> twice = program_tests((("2\n", "4\n"), ("3", "6")), where=unsafe())
    >>> [one.kind for one in twice.verify(Request(""), [Path(("print(2 * int(input()))",)), Path(("print(4)",))])]
    ['pass', 'wrong']
    """

    cases: tuple[tuple[str | bytes, str | bytes], ...]
    seconds: float = 10.0
    memory_mb: int = 1024
    where: Sandbox | None = None
    lasting: Lasting = field(default_factory=Lasting, repr=False, compare=False)

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:  # noqa: ARG002 - the port's
        """One verdict per path: that of the first case that does not pass."""
        return judged(
            [program_of(path.text) for path in paths],
            Limits(self.seconds, self.memory_mb),
            self.where,
            self._one,
            self.lasting,
        )

    def _one(self, judge: Judge, code: str) -> Verdict:
        found = verdict("unverified", "there are no cases")
        for number, (typed, expected) in enumerate(self.cases, 1):
            wanted = _bytes(expected)
            request = ("program", code, _bytes(typed))
            found = judge.finished(request, lambda end, n=number, wanted=wanted: _compared(end, wanted, n))  # type: ignore[misc]
            if not found.passed:
                return found
        return found


def _compared(end: Ended, expected: bytes, number: int) -> Verdict:
    if end.status:
        return verdict("error", f"case {number}: {end.detail}")
    if _lines(end.printed) == _lines(expected):
        return verdict("pass")
    if not end.printed:
        return verdict("no_result", f"case {number}: nothing was written")
    return verdict("wrong", f"case {number}: wrote {end.printed[:150]!r}, expected {expected[:150]!r}")


def _lines(text: bytes) -> list[bytes]:
    return [line.rstrip() for line in text.rstrip().split(b"\n")]


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
