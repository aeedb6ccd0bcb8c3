"""Generated tests: every answer's program is run against tests that may be wrong; the results say which answers agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adaptive_middleware.code.program import program_of
from adaptive_middleware.ports import CaseRunner
from adaptive_middleware.types import Path, Request, Verdict


def no_prompt(_request: Request) -> str:
    """No code that answers complete: they are whole programs."""
    return ""


@dataclass(frozen=True, slots=True)
class generated_tests:  # noqa: N801 - verifiers read as words
    """The `Verifier` port for calls without tests of their own: no answer passes or fails, but each has its results.

    `tests` gives a request's test cases, such as `asserts_in` finds in what a model wrote; it is asked once for every
    draw, and must give the same ones each time. `runner` runs programs against them: model-written tests want a
    sandbox as much as the programs do. `prompt` is the code that answers complete. Select with `execution_agreement`.
    """

    runner: CaseRunner
    tests: Callable[[Request], Sequence[str]]
    prompt: Callable[[Request], str] = no_prompt

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        """One undecided verdict per path, with its results; equal programs are run once."""
        tests, prompt = self.tests(request), self.prompt(request)
        if not tests:
            return [Verdict(None, "no generated tests")] * len(paths)
        programs = [program_of(path.text, prompt) for path in paths]
        once = list(dict.fromkeys(programs))
        rows = dict(zip(once, self.runner.results(once, tests), strict=True))
        return [_verdict(rows[program], len(tests)) for program in programs]


def _verdict(row: Sequence[bool | None], wanted: int) -> Verdict:
    if len(row) != wanted:
        message = f"the runner gave {len(row)} results for {wanted} tests"
        raise ValueError(message)
    return Verdict(
        None, f"passes {sum(one is True for one in row)} of {wanted} generated tests", tests=tuple(row)
    )
