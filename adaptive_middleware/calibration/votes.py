"""Agreement as evidence: how likely the leading answer is right, from the counts of votes alone.

A logistic model of four numbers, none with a negative weight: the log odds of the leader's share,
log((v + 1/2) / (others + 1/2)), the same against the runner-up only, the logarithm of the leader's votes v, and the
share on the arcsine scale, asin(sqrt(v / (v + others))), on which one vote of one counts as unanimous. So a vote for the leader never lowers the probability, and a vote for another answer that does not take the lead never raises it.
The share of the votes taken at its word is over-confident (samples of one problem are not independent), and so is the
chance that the leader stays in the lead (`policy.agreement`), which is not the chance that it is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, exp, fsum, log, sqrt

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class VoteCalibration:
    """Calibrated probability that the leading answer is right; all weights are >= 0."""

    bias: float
    share: float
    margin: float
    support: float
    unanimity: float

    def __call__(self, votes: Sequence[int]) -> float:
        """P(the leading answer is right) from the counts of all answers, in any order; 0 when nobody voted.

        >>> by_votes = VoteCalibration(-1.5, 1.0, 0.0, 1.0, 0.0)
        >>> [round(by_votes(votes), 2) for votes in ((1,), (3,), (3, 1), (3, 1, 1), (6, 2, 2))]
        [0.4, 0.82, 0.61, 0.48, 0.66]
        """
        if not votes or max(votes) <= 0:
            return 0.0
        weights = (self.share, self.margin, self.support, self.unanimity)
        return _sigmoid(self.bias + fsum(w * x for w, x in zip(weights, evidence(votes), strict=True)))


def evidence(votes: Sequence[int]) -> tuple[float, float, float, float]:
    """The numbers of the model: log odds of the share and against the runner-up, log of the votes, arcsine of the share."""
    first, second = (*sorted(votes, reverse=True), 0)[:2]
    others = sum(votes) - first
    led = log(first + _HALF)
    return (
        led - log(others + _HALF),
        led - log(second + _HALF),
        log(first),
        asin(sqrt(first / (first + others))),
    )


def _sigmoid(log_odds: float) -> float:
    return 1 / (1 + exp(-max(log_odds, -700.0)))
