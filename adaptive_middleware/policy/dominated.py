"""Whether an open answer can still beat the leader, by the quantiles of both."""

from __future__ import annotations

from dataclasses import dataclass

from adaptive_middleware.types import Candidate, Decision, State


@dataclass(frozen=True, slots=True)
class dominated:
    """Drop an open answer whose upper quantile falls under the leader's lower one, or under `give_up`.

    The leader is the selected finished answer; before there is one, or where it has no estimate, only `give_up`
    (a probability in [0, 1]) decides. The quantiles are those of the calibrated estimates (10 % and 90 %), so a
    wide, honest estimate is read on where a sharp one is dropped.
    """

    give_up: float = 0.01

    def __call__(self, state: State, open_answer: Candidate) -> Decision:
        """1 to read on, 0 to drop; an answer without an estimate is read on."""
        if open_answer.estimate is None:
            return Decision(1, "not scored")
        upper, floor = open_answer.estimate.upper, max(_leader(state), self.give_up)
        numbers = {"upper": upper, "floor": floor}
        if upper >= floor:
            return Decision(1, f"may still win: upper {upper:.3f} >= {floor:.3f}", numbers)
        steps = len(open_answer.path.steps)
        return Decision(0, f"dropped after {steps} steps: upper {upper:.3f} < {floor:.3f}", numbers)


def _leader(state: State) -> float:
    if state.leader is None:
        return 0.0
    estimate = state.candidates[state.leader.index].estimate
    return 0.0 if estimate is None else estimate.lower
