"""What a verdict rests on, measured in one go from judged answers."""

from __future__ import annotations

from dataclasses import dataclass

from adaptive_middleware.audit.drift import Drift, drift
from adaptive_middleware.audit.error import Bias, Miscalibration, bias, calibration_error
from adaptive_middleware.audit.evidence import Evidence, evidence
from adaptive_middleware.audit.judged import Judged
from adaptive_middleware.audit.lower import LowerCoverage
from adaptive_middleware.calibration.metrics import brier


@dataclass(frozen=True, slots=True)
class Findings:
    """Figures of judged answers; `coverage` and `drift` are None where they cannot be measured."""

    problems: int
    error: Miscalibration
    bias: Bias
    brier: float
    test: Evidence
    coverage: LowerCoverage | None
    drift: Drift | None


def findings(judged: Judged, coverage: LowerCoverage | None, seed: int, *, ordered: bool) -> Findings:
    """The findings of at least one judged answer; drift only where the answers are `ordered` in time."""
    return Findings(
        problems=judged.problems,
        error=calibration_error(judged, seed),
        bias=bias(judged),
        brier=brier(judged.p, judged.right),
        test=evidence(judged),
        coverage=coverage,
        drift=drift(judged) if ordered else None,
    )
