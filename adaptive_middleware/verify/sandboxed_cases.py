"""Programs against test cases that a model wrote, each pair in sandboxes of its own: the runner of generated tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.judge import Asserts
from adaptive_middleware.verify.lasting import Lasting
from adaptive_middleware.verify.sandbox.limits import Limits, Sandbox


@dataclass(frozen=True, slots=True)
class sandboxed_cases:  # noqa: N801 - as the verifiers that it serves
    """The `CaseRunner` port: test cases are Python statements, which fail by raising.

    Each program may use `seconds` of CPU time and `memory_mb` for each case. `where` is the sandbox: the best that works
    here where left out; where none works, every result is None. A case that passes whatever a function answers tells
    nothing: its result is None, too. `lasting` as in `unit_tests`.

    >>> from adaptive_middleware.verify.sandbox.unsafe import unsafe
    >>> runner = sandboxed_cases(where=unsafe())
    >>> runner.results(["def double(x): return 2 * x"], ["assert double(2) == 4", "assert double(2) == 5", "assert True"])
    [(True, False, None)]
    """

    seconds: float = 2.0
    memory_mb: int = 512
    where: Sandbox | None = None
    lasting: Lasting = field(default_factory=Lasting, repr=False, compare=False)

    def results(self, programs: Sequence[str], tests: Sequence[str]) -> list[tuple[bool | None, ...]]:
        """One row per program with one result per test."""
        try:
            judge = self.lasting.judge(self.where, Limits(self.seconds, self.memory_mb))
        except SandboxError:
            return [(None,) * len(tests)] * len(programs)
        cases = [Asserts(test, trusted=False) for test in tests]
        return [tuple(judge.asserts(program, case).passed for case in cases) for program in programs]
