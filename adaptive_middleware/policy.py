"""Policies: how many more samples a call gets, given what is known so far.

A policy is a callable from a `State` to a `Decision` (or a plain number of further samples: a lambda
does). It is asked again after every draw, until it asks for nothing or the call's limit is reached.
The classes have lower-case names because they read as words in code and configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, comb, exp, inf, isinf, log, log1p

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
    """Draw while another sample is worth its price: stop at `target`, give up when the gain is too small.

    The gain of one more sample is what it is expected to add to the probability that the returned answer
    is right (`gain`): from the belief, which every sample so far has moved, and from `sharpness`, how well
    scores separate right from wrong answers to one question. It stops when the leading answer is right
    with probability >= `target`, or when the gain is under the price: `give_up`, in probability of
    success, per sample, or per `per_tokens` completion tokens when that is above 0 (long answers then
    have to promise more). `window` samples are drawn at a time after the first one. Without scores it is
    `agreement(target, window)`: votes are then all there is.
    """

    target: float = 0.95
    give_up: float = 0.01
    window: int = 1
    sharpness: float = 1.0
    per_tokens: int = 0

    def __call__(self, state: State) -> Decision:
        """A further window of samples, or none at the target or when the gain is too small."""
        if state.leader is None:
            return Decision(1, "the first sample", {"next": state.belief.mean})
        p = state.leader.probability
        if p is None:
            return agreement(self.target, self.window)(state)
        checked = all(candidate.verdict is not None for candidate in state.candidates)
        expected = gain(p, state.belief.mean, state.base_rate, inf if checked else self.sharpness)
        price = self._price(state)
        numbers = {
            "leader": p,
            "next": state.belief.mean,
            "gain": expected,
            "price": price,
            "target": self.target,
        }
        if p >= self.target:
            return Decision(
                0, f"the best answer is right with probability {p:.3f} >= {self.target:g}", numbers
            )
        if expected < price:
            because = f"one more sample would gain {expected:.4f} < its price {price:.4f}: more will not help"
            return Decision(0, because, numbers)
        because = f"P(best is right) = {p:.3f} < {self.target:g} and one more sample gains {expected:.3f}"
        return Decision(self.window, because, numbers)

    def _price(self, state: State) -> float:
        if not self.per_tokens:
            return self.give_up
        tokens = sum(candidate.path.usage.completion_tokens for candidate in state.candidates)
        return self.give_up * tokens / (state.drawn * self.per_tokens)


def gain(leader: float, chance: float, base_rate: float, sharpness: float) -> float:
    """Expected rise of the best calibrated probability by one more sample: E[max(c - leader, 0)].

    The new sample is right with probability `chance`. Its calibrated probability c is read off a score
    whose log likelihood ratio is normal with mean +d^2/2 for right and -d^2/2 for wrong answers and standard
    deviation d = `sharpness` (equal-variance signal detection, Green and Swets 1966; its AUROC within a
    question is Phi(d / sqrt 2)), on top of the log odds of `base_rate`. With a perfect judge (d infinite) c
    is 1 or 0, and the gain (1 - leader) * chance. The normal is represented by 15 equally likely points.

    >>> gain(0.5, 0.3, 0.3, inf)
    0.15
    >>> gain(0.9, 0.3, 0.3, 1.0) < gain(0.5, 0.3, 0.3, 1.0) < 0.15
    True
    """
    if isinf(sharpness):
        return (1 - leader) * chance
    clipped = min(max(base_rate, P_MIN), 1 - P_MIN)
    prior, shift = log(clipped / (1 - clipped)), sharpness * sharpness / 2
    right = wrong = 0.0
    for z in _NORMAL:
        right += max(_sigmoid(prior + shift + sharpness * z) - leader, 0.0)
        wrong += max(_sigmoid(prior - shift + sharpness * z) - leader, 0.0)
    return (chance * right + (1 - chance) * wrong) / len(_NORMAL)


def _sigmoid(log_odds: float) -> float:
    return 1 / (1 + exp(-max(log_odds, -700.0)))


_HALF = (0.16789, 0.34069, 0.52440, 0.72791, 0.96742, 1.28155, 1.83391)
_NORMAL = (*(-z for z in reversed(_HALF)), 0.0, *_HALF)
