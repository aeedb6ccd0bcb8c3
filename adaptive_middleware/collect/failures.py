"""A unit of work that failed: written down with its cause, counted, and left for a later run."""

from __future__ import annotations

from adaptive_middleware.collect.control import Control, UnitFailed
from adaptive_middleware.collect.journal import Journal
from adaptive_middleware.verify.attempt import Failed


def failure(
    journal: Journal, control: Control, key: str, what: str, failed: Failed, **tokens: int
) -> UnitFailed:
    """What to raise when `what` (sampler, scorer) failed in the unit `key`, which had cost `tokens` by then."""
    journal.note("failed", {"of": key, "cause": failed.cause, **tokens})
    control.failed(what, failed.cause)
    raised = UnitFailed(f"{what}: {failed.cause}")
    raised.__cause__ = failed.error
    return raised
