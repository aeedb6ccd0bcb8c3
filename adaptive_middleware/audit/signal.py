"""How good the scores of a process reward model are on this traffic, and whether they beat a vote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adaptive_middleware.audit.better import Paired, difference
from adaptive_middleware.audit.contest import Played
from adaptive_middleware.calibration import metrics
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.errors import CalibrationError


@dataclass(frozen=True, slots=True)
class Signal:
    """How well raw scores tell right answers from wrong ones; None where it is undefined (all right, all wrong).

    `within` is the mean AUROC inside problems, `overall` that over all answers. `argmax` and `majority` are
    accuracies at fixed `n`, `gain` is argmax minus majority, paired by problem.
    """

    overall: float | None
    within: float | None
    n: int
    argmax: float
    majority: float
    gain: Paired

    @property
    def worse_than_voting(self) -> bool:
        """Whether the vote is better for certain: the whole 95 % interval of the gain is below 0."""
        return self.gain.high < 0


def signal(answers: Sequence[Example], argmax: Played, majority: Played, seed: int = 0) -> Signal:
    """The signal of scored answers, with the fixed-N rows of the same N by both selections."""
    scores = [example.scores[-1] for example in answers]
    right = [example.success for example in answers]
    groups = [example.group for example in answers]
    return Signal(
        _or_none(lambda: metrics.auroc(scores, right)),
        _or_none(lambda: metrics.auroc_within(scores, right, groups)),
        argmax.contender.limit,
        float(argmax.correct.mean()),
        float(majority.correct.mean()),
        difference(argmax, majority, seed),
    )


def _or_none(measure: Callable[[], float]) -> float | None:
    try:
        return measure()
    except CalibrationError:
        return None
