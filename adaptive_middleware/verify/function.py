"""Your own check: a Python callable that says whether an answer is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from adaptive_middleware.types import Path, Request, Verdict
from adaptive_middleware.verify.attempt import Failed, attempt

Check: TypeAlias = Callable[[Mapping[str, object], str], bool]
"""A problem's fields and the text of an answer -> whether it is right."""


@dataclass(frozen=True, slots=True)
class function_check:  # noqa: N801 - verifiers read as words
    """The `Verifier` port over `check`, for the problem of `fields`.

    What `check` raises, or returns beside True and False, is a verdict of None with the cause: never a wrong.

    >>> is_even = function_check(lambda fields, text: int(text) % 2 == 0, {})
    >>> [verdict.passed for verdict in is_even.verify(Request(""), [Path(("4",)), Path(("4.5",))])]
    [True, None]
    """

    check: Check
    fields: Mapping[str, object]

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:  # noqa: ARG002 - the port's
        """One verdict per path, in order."""
        return [_verdict(attempt(partial(self.check, self.fields, path.text))) for path in paths]


def _verdict(result: object) -> Verdict:
    if isinstance(result, Failed):
        return Verdict(None, f"the check raised {result.cause}")
    if isinstance(result, bool):
        return Verdict(result)
    return Verdict(None, f"the check returned {result!r}, not True or False")
