"""Best-of-N with N decided by a policy: draw, score, calibrate, decide, select."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from adaptive_middleware.answers import canonical_answer
from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.effects import Flow, Sample
from adaptive_middleware.errors import BudgetError
from adaptive_middleware.ports import Calibrator, Policy
from adaptive_middleware.strategies.judging import Judging, Notes
from adaptive_middleware.strategies.select import Selection, calibrated_argmax
from adaptive_middleware.types import Outcome, Path, Request


@dataclass(frozen=True, slots=True)
class best_of_n:  # noqa: N801 - reads as a word, like the policies
    """Draw samples while the policy asks for more, and return the selected one.

    The question alone is scored first (`score_question`): its calibrated estimate is the prior over the
    success chance of one sample. Every scored or verified sample then moves that belief. At most
    `max_samples` are asked for in all, failed ones counted. Without scores (`score` off, or rejected)
    selection and stopping fall back to votes.
    """

    policy: Policy
    max_samples: int = 16
    calibrate: Calibrator = uncalibrated
    select: Selection = calibrated_argmax
    answer: Callable[[Path], str | None] = canonical_answer
    score: bool = True
    score_question: bool = True
    verify: bool = False

    def __call__(self, request: Request) -> Flow[Outcome]:
        """The flow of one call; it ends with the outcome, or raises `SamplerError`."""
        notes = Notes()
        judging = Judging(self.calibrate, self.select, self.answer, self.score, self.verify)
        state = yield from judging.start(request, self.max_samples, notes, question=self.score_question)
        while True:
            n = notes.decide(self.policy(state), self.max_samples)
            if n <= 0:
                break
            try:
                paths = yield from Sample(request, n)
            except BudgetError as error:
                if not state.candidates:
                    raise
                notes.degraded.append(f"{type(error).__name__}: {error}")
                break
            notes.asked += len(paths) or n
            candidates = yield from judging.candidates(request, notes.usable(paths), notes)
            state = judging.after(state, candidates)
        calibrated = self.calibrate is not uncalibrated
        return judging.outcome(state, notes, f"best-of-n, {self.policy!r}", calibrated=calibrated)
