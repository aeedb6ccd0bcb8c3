"""Several checks of one answer, in order: the first one that can tell decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptive_middleware.ports import Verifier
from adaptive_middleware.types import Path, Request, Verdict


@dataclass(frozen=True, slots=True)
class in_order:  # noqa: N801 - verifiers read as words
    """The `Verifier` port over `verifiers`: each is asked only about the answers on which all before it were undecided.

    So a cheap check that can only reject (`tool_schema`) goes before a dear one. An answer on which none decides
    keeps the verdict of the last.
    """

    verifiers: tuple[Verifier, ...]

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        """One verdict per path, in order."""
        verdicts = [Verdict(None)] * len(paths)
        for verifier in self.verifiers:
            undecided = [i for i, verdict in enumerate(verdicts) if verdict.passed is None]
            if undecided:
                found = verifier.verify(request, [paths[i] for i in undecided])
                for i, verdict in zip(undecided, found, strict=True):
                    verdicts[i] = verdict
        return verdicts
