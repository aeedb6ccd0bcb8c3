"""Stopping when a whole window of samples agrees: Early-Stopping Self-Consistency."""

from __future__ import annotations

from dataclasses import dataclass

from adaptive_middleware.types import Decision, State


@dataclass(frozen=True, slots=True)
class early_stopping:
    """Draw `window` samples at a time, and stop once all samples of one window give the same answer.

    Early-Stopping Self-Consistency (Li et al., ICLR 2024, arXiv 2401.10480). Windows do not overlap, and
    a window that lost samples is filled up first. A sample without an answer agrees with nothing. Needs no
    process reward model, only canonical answers; meant for selection by majority, over all windows.
    """

    window: int = 5

    def __call__(self, state: State) -> Decision:
        """What the open window lacks, a further window, or none once a window is unanimous."""
        finished = len(state.candidates)
        missing = -finished % self.window
        if missing:
            because = f"{missing} more complete a window of {self.window}"
            return Decision(missing, because, {"finished": finished, "window": self.window})
        answers = {candidate.answer for candidate in state.candidates[finished - self.window :]}
        numbers = {"answers": len(answers), "finished": finished, "window": self.window}
        if not finished:
            return Decision(self.window, f"the first window of {self.window} samples", numbers)
        if None in answers:
            return Decision(self.window, f"the last window of {self.window} lacks an answer", numbers)
        if len(answers) > 1:
            because = f"the last window of {self.window} gave {len(answers)} different answers"
            return Decision(self.window, because, numbers)
        return Decision(0, f"all {self.window} samples of the last window agree", numbers)
