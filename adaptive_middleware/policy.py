"""Policies: how many more samples a call gets, given what is known so far.

A policy is a callable from a `State` to a `Decision` (or a plain number of further samples: a lambda
does). It is asked again after every draw, until it asks for nothing or the call's limit is reached.
The classes have lower-case names because they read as words in code and configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, comb, log1p

from adaptive_middleware.types import Decision, State

P_MIN = 1e-4


def samples_needed(p: float, confidence: float) -> int:
    """Independent samples after which at least one is right with probability `confidence`.

    N = ceil(ln(1 - C) / ln(1 - p)) with p clipped to [1e-4, 1 - 1e-4]: the rule of Park et al. 2025
    (arXiv 2506.09338), `confidence` in (0, 1).

    >>> [samples_needed(p, 0.99) for p in (0.99, 0.9, 0.5, 0.1, 0.01)]
    [1, 2, 7, 44, 459]
    """
    clipped = min(max(p, P_MIN), 1 - P_MIN)
    return ceil(log1p(-confidence) / log1p(-clipped))


def stays_leader(first: int, second: int) -> float:
    """Probability that the leading answer stays ahead of the runner-up, by their vote counts.

    1 - I_0.5(v1 + 1, v2 + 1), the Beta rule of Adaptive-Consistency (arXiv 2305.11860), as a finite sum.

    >>> round(stays_leader(3, 0), 4)
    0.9375
    """
    trials = first + second + 1
    return 1 - sum(comb(trials, k) for k in range(second + 1)) / float(1 << trials)


@dataclass(frozen=True, slots=True)
class fixed:
    """Always `n` samples: the baseline."""

    n: int = 1

    def __call__(self, state: State) -> Decision:
        """What is missing to `n`."""
        return Decision(max(self.n - state.drawn, 0), f"fixed: {self.n} samples for every call")


@dataclass(frozen=True, slots=True)
class instance_adaptive:
    """N from the question's difficulty, decided once: instance-adaptive scaling (Park et al. 2025).

    p is the lower quantile of the calibrated score of the question alone. Without one (no scorer, or it
    failed) the rule has nothing to decide from and asks for `cap` samples.
    """

    confidence: float = 0.99
    cap: int = 64

    def __call__(self, state: State) -> Decision:
        """What is missing to the rule's N."""
        if state.question is None:
            return Decision(max(self.cap - state.drawn, 0), "no difficulty estimate: the whole cap", {})
        p = state.question.lower
        wanted = samples_needed(p, self.confidence)
        n = min(wanted, self.cap)
        because = (
            f"ln(1 - {self.confidence:g}) / ln(1 - {p:.3g}) asks for {wanted} samples"
            f"{f', capped at {self.cap}' if wanted > self.cap else ''}; {state.drawn} drawn"
        )
        numbers = {"p_lower": p, "confidence": self.confidence, "wanted": wanted, "cap": self.cap}
        return Decision(max(n - state.drawn, 0), because, numbers)


@dataclass(frozen=True, slots=True)
class agreement:
    """Draw until the leading answer will stay the leader with `confidence`: Adaptive-Consistency.

    Needs no process reward model, only canonical answers. `window` samples are drawn at a time.
    """

    confidence: float = 0.95
    window: int = 1

    def __call__(self, state: State) -> Decision:
        """A further window of samples, or none once the leader is safe."""
        first, second = (*state.votes, 0, 0)[:2]
        stays = stays_leader(first, second)
        numbers = {"first": first, "second": second, "stays_leader": stays, "confidence": self.confidence}
        votes = f"votes {first}:{second}, the leader stays ahead with probability {stays:.3f}"
        if first and stays >= self.confidence:
            return Decision(0, f"{votes} >= {self.confidence:g}", numbers)
        return Decision(self.window, f"{votes} < {self.confidence:g}", numbers)


@dataclass(frozen=True, slots=True)
class optimal_stopping:
    """Draw while another sample is worth its price: stop at `target`, give up below `give_up`.

    The gain of one more sample is at most the chance that the answer now leading is wrong and the new
    one right: (1 - P(leader)) * E[p], with E[p] from the belief that every sample so far has moved. It
    stops when P(leader) >= `target`, or when that gain is under `give_up` (the price of a sample, in
    probability of success). `window` samples are drawn at a time after the first one. Without scores it
    is `agreement(target, window)`: votes are then all there is.
    """

    target: float = 0.95
    give_up: float = 0.01
    window: int = 1

    def __call__(self, state: State) -> Decision:
        """A further window of samples, or none at the target or when the gain is too small."""
        p = 0.0
        if state.leader is not None:
            if state.leader.probability is None:
                return agreement(self.target, self.window)(state)
            p = state.leader.probability
        chance = state.belief.mean
        gain = (1 - p) * chance
        numbers = {"leader": p, "next": chance, "gain": gain, "target": self.target, "give_up": self.give_up}
        if p >= self.target:
            return Decision(
                0, f"the best answer is right with probability {p:.3f} >= {self.target:g}", numbers
            )
        if state.drawn and gain < self.give_up:
            because = f"one more sample would gain {gain:.4f} < {self.give_up:g}: more samples will not help"
            return Decision(0, because, numbers)
        because = f"P(best is right) = {p:.3f} < {self.target:g} and one more sample gains {gain:.3f}"
        return Decision(self.window if state.drawn else 1, because, numbers)
