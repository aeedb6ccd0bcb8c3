"""The audit of a store: the probabilities that calls reported, against what came of them."""

from __future__ import annotations

from collections.abc import Sequence

from adaptive_middleware.audit.findings import findings
from adaptive_middleware.audit.judged import Judged
from adaptive_middleware.audit.lower import LowerCoverage, lower_coverage
from adaptive_middleware.audit.result import Audit
from adaptive_middleware.audit.store import Call, Store
from adaptive_middleware.audit.verdict import TOLERANCE, verdict
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.types import Estimate, Path, StepScores, Usage

ONLY_RETURNED = "a store knows only the returned answers: for policies and recalibration, record all samples (docs/audit.md)"
_SAME, _MOST = 0.01, 0.9


def audit_store(
    store: Store, calibration: Calibration | None, *, tolerance: float = TOLERANCE, seed: int = 0
) -> Audit:
    """The audit of reported calls, in their order.

    `calibration` re-makes the estimates of the returned answers from their step scores, for the coverage of their
    quantiles; it does not touch the probabilities that are audited.
    """
    calls = store.calls
    given = Judged(
        tuple(call.p for call in calls),
        tuple(float(call.correct) for call in calls),
        tuple(call.id for call in calls),
    )
    coverage, missing = _coverage(calls, calibration)
    found = findings(given, coverage, seed, ordered=True)
    notes = (*store.notes, *missing, ONLY_RETURNED)
    return Audit("store", given.n, verdict(found, tolerance), found, notes=notes)


def _coverage(
    calls: Sequence[Call], calibration: Calibration | None
) -> tuple[LowerCoverage | None, tuple[str, ...]]:
    """Coverage from estimates that the calibration makes again; None when they are not those reported."""
    if calibration is None:
        return None, ("raw scores have no quantiles: there is no coverage to measure",)
    same = [pair for call in calls if (pair := _remade(calibration, call)) is not None]
    if len(same) >= _MOST * len(calls):
        return lower_coverage([estimate for estimate, _ in same], [example for _, example in same]), ()
    note = (
        f"coverage cannot be measured: this bundle gives only {len(same)} of {len(calls)} reported estimates again; the "
        "others come from another one, or from log-probabilities, which reports do not keep"
    )
    return None, (note,)


def _remade(calibration: Calibration, call: Call) -> tuple[Estimate, Example] | None:
    """The returned answer's estimate made again, or None when it is not the one that was reported."""
    scores = call.step_scores
    if scores is None or call.mean is None:
        return None
    example = Example(scores, len(scores), True, None, float(call.correct), 1, call.id)
    path = Path(("-",) * len(scores), usage=Usage(completion_tokens=call.tokens))
    estimate = calibration(path, StepScores(scores))
    return (estimate, example) if abs(estimate.mean - call.mean) <= _SAME else None
