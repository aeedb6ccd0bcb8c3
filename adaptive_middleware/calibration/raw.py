"""Raw scores taken at their word: what there is without a calibration bundle.

Off-the-shelf process reward models over-estimate success (Park et al. 2025), so a report that rests on
these says `calibrated: false`.
"""

from __future__ import annotations

from adaptive_middleware.types import Estimate, Path, StepScores


def uncalibrated(path: Path, scores: StepScores) -> Estimate:  # noqa: ARG001 - the port's signature
    """The last step's score, with no uncertainty: the usual reading of a process reward model.

    >>> uncalibrated(Path(("a", "b")), StepScores((0.9, 0.4)))
    Estimate(mean=0.4, lower=0.4, upper=0.4, quantiles=())
    """
    last = scores.values[-1]
    return Estimate(last, last, last)
