"""Stopping by the distribution of the scores: how many samples until one very likely scores high enough."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, log1p
from typing import Literal

from adaptive_middleware.policy.agreement import agreement
from adaptive_middleware.policy.truncated import TruncatedNormal, fit_map, fit_mle
from adaptive_middleware.types import Decision, State

_TAIL = 1e-6


def samples_to_exceed(above: float, confidence: float) -> int:
    """Samples after which one scores above a target with `confidence`, where each does with chance `above`.

    N = ceil(ln(1 - confidence) / ln F), F = 1 - `above` the distribution function of one score at the target:
    the highest of N independent scores is below it with probability F^N. `above` is clipped to
    [1e-6, 1 - 1e-6], so the answer is at most a few million, which stands for never.

    >>> [samples_to_exceed(above, 0.95) for above in (0.99, 0.5, 0.1, 0.0)]
    [1, 5, 29, 2995731]
    """
    clipped = min(max(above, _TAIL), 1 - _TAIL)
    return ceil(log(1 - confidence) / log1p(-clipped))


@dataclass(frozen=True, slots=True)
class score_distribution:
    """Draw until the best of the scores is above `target` with `confidence`, by their distribution: OptScale.

    The scores so far (each sample's calibrated probability; with raw scores, those) are taken for draws of a
    normal distribution truncated to [0, 1], fitted anew after every draw by `method`: "mle", or "map" with
    normal priors on mu (around `prior_mu`) and sigma (around `prior_sigma`), both of standard deviation
    `prior_spread`. N = ceil(ln(1 - confidence) / ln F(target)) samples are wanted (Wang et al., AAAI 2026, arXiv
    2506.22376). `first` samples are drawn before anything is fitted, then at most `window` at a time. The
    rule does not look at the answers, and not at whether a score was above the target already.

    Without any score it is `agreement(confidence, window)`. "mle" needs two scores, and asks for more until
    there are; equal scores are taken for a distribution of sigma 0.01.
    """

    target: float = 0.95
    confidence: float = 0.95
    first: int = 3
    window: int = 1
    method: Literal["mle", "map"] = "mle"
    prior_mu: float = 0.8
    prior_sigma: float = 0.2
    prior_spread: float = 0.1

    def __call__(self, state: State) -> Decision:
        """The first samples, what is missing to N, or none."""
        finished = len(state.candidates)
        if finished < self.first:
            return Decision(self.first - finished, f"the first {self.first} samples", {"finished": finished})
        scores = [one.estimate.mean for one in state.candidates if one.estimate is not None]
        if not scores:
            return agreement(self.confidence, self.window)(state)
        if self.method == "mle" and len(scores) < 2:
            return Decision(self.window, "one score alone has no distribution", {"scores": 1})
        return self._decided(self._fit(scores), len(scores))

    def _fit(self, scores: list[float]) -> TruncatedNormal:
        if self.method == "mle":
            return fit_mle(scores)
        return fit_map(scores, TruncatedNormal(self.prior_mu, self.prior_sigma), self.prior_spread)

    def _decided(self, fitted: TruncatedNormal, scored: int) -> Decision:
        above = fitted.above(self.target)
        wanted = samples_to_exceed(above, self.confidence)
        numbers = {"mu": fitted.mu, "sigma": fitted.sigma, "above": above, "wanted": wanted, "scores": scored}
        because = (
            f"scores ~ N({fitted.mu:.3g}, {fitted.sigma:.2g}^2) on [0, 1] exceed {self.target:g} with probability "
            f"{above:.3g}: {wanted} samples for {self.confidence:g}; {scored} scored"
        )
        return Decision(min(max(wanted - scored, 0), self.window), because, numbers)
