"""Held-out paths with their raw scores and calibrated estimates side by side: what calibration charts show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.pictures.resamples import Floats, Resamples, resampled
from adaptive_middleware.pictures.style import Mark, mark


@dataclass(frozen=True, slots=True)
class Side:
    """One reading of the same paths: its name, its probabilities, and how it is drawn."""

    name: str
    probabilities: Floats
    mark: Mark


@dataclass(frozen=True, slots=True)
class Judged:
    """Paths, raw and calibrated, beside their measured success rates; one row per path.

    Raw is the score of the last step; calibrated is the mean of the estimate.
    """

    raw: Side
    calibrated: Side
    success: Floats
    resamples: Resamples

    @property
    def sides(self) -> tuple[Side, Side]:
        """Raw first."""
        return self.raw, self.calibrated


def judged(calibration: Calibration, examples: Sequence[Example]) -> Judged:
    """The examples, each read in both ways; they took no part in the calibration's fit."""
    raw = np.array([e.scores[-1] for e in examples])
    mean = np.array(
        [calibration.estimate(e.scores, e.steps, e.done, e.logprobs, e.tokens).mean for e in examples]
    )
    return Judged(
        Side("raw score", raw, mark(1)),
        Side("calibrated", mean, mark(0)),
        np.array([e.success for e in examples]),
        resampled([e.group for e in examples]),
    )
