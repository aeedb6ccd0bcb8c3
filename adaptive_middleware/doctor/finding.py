"""What one check found: how it is, in words, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["ok", "warn", "fail"]
_ORDER: tuple[Status, ...] = ("ok", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result: `what` is what was seen, `fix` the next step (empty when all is well).

    `warn` is what works now and may not for long; `fail` is what does not work.
    """

    name: str
    status: Status
    what: str
    fix: str = ""


def ok(name: str, what: str) -> Finding:
    """All is well."""
    return Finding(name, "ok", what)


def warn(name: str, what: str, fix: str) -> Finding:
    """It works, but somebody should look."""
    return Finding(name, "warn", what, fix)


def fail(name: str, what: str, fix: str) -> Finding:
    """It does not work."""
    return Finding(name, "fail", what, fix)


def worst(findings: Iterable[Finding]) -> Status:
    """The worst status of all.

    >>> worst([ok("clock", ""), warn("disk", "", "")]), worst([])
    ('warn', 'ok')
    """
    return max((each.status for each in findings), key=_ORDER.index, default="ok")
