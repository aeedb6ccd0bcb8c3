"""Checks that can only reject: a pass is no success, as with public tests that a wrong program may pass, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from adaptive_middleware.ports import Verifier
from adaptive_middleware.types import Path, Request, Verdict


@dataclass(frozen=True, slots=True)
class rejecting:  # noqa: N801 - verifiers read as words
    """The `Verifier` port over `verifier`, whose passes become undecided.

    So an answer that fails is out, and the belief knows; among the others scores, votes or agreement on generated tests decide,
    and a policy stops by their probability, not at the first pass.
    """

    verifier: Verifier

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        """One verdict per path, in order; none that passed."""
        return [_undecided(verdict) for verdict in self.verifier.verify(request, paths)]


def _undecided(verdict: Verdict) -> Verdict:
    if verdict.passed is not True:
        return verdict
    said = f"passed: {verdict.detail}" if verdict.detail else "passed, which does not make it right"
    return replace(verdict, passed=None, detail=said)
