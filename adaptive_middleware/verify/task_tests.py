"""The tests of tasks as one verifier: a call says by its run id which task it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adaptive_middleware.ports import Verifier
from adaptive_middleware.types import Path, Request, Verdict


@dataclass(frozen=True, slots=True)
class task_tests:  # noqa: N801 - verifiers read as words
    """The `Verifier` port over the verifier of each task, by the task's id, which is the `run_id` of its calls.

    Without a task the verdict is undecided: what `verifier: {kind: task-tests}` gives anywhere but in `solve`.
    """

    by_task: Mapping[str, Verifier]

    def verify(self, request: Request, paths: Sequence[Path]) -> Sequence[Verdict]:
        """One verdict per path, in order."""
        found = self.by_task.get(request.run_id or "")
        if found is None:
            return [Verdict(None, "the call belongs to no task of `solve`")] * len(paths)
        return found.verify(request, paths)
