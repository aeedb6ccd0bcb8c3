"""What training minimises: pinball loss of quantiles, and the likelihood of k right ends of m."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from adaptive_middleware.scoring.quantiles_reading import NARROWEST, WIDEST

_CLAMP = 1e-4


def pinball(quantiles: Tensor, targets: Tensor, levels: Tensor) -> Tensor:
    """Pinball loss of each row, averaged over the levels: max((q - 1) u, q u) of u = target - quantile.

    `quantiles` is (rows, levels) in [0, 1], `targets` are success rates k/m (Koenker and Bassett 1978; Park et al. 2025).
    """
    u = targets[:, None] - quantiles
    return torch.maximum((levels - 1) * u, levels * u).mean(dim=1)


def beta_binomial(logits: Tensor, log_spreads: Tensor, right: Tensor, trials: Tensor) -> Tensor:
    """-ln P(k of m) / m of each row, without the binomial coefficient; p is Beta(mean s, (1 - mean) s), in float64.

    One trial tells nothing of the spread: then it is the cross entropy of the mean. Dividing by m gives a path with
    many rollouts the weight of one path.
    """
    mean = torch.sigmoid(logits.double()).clamp(_CLAMP, 1 - _CLAMP)
    spread = torch.exp(log_spreads.double().clamp(NARROWEST, WIDEST))
    k, m = right.double(), trials.double()
    a, b = mean * spread, (1 - mean) * spread
    likelihood = _log_beta(a + k, b + m - k) - _log_beta(a, b)
    return -likelihood / m


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What is known of each row: `right` ends of `trials`, and whether the answer is `finished` (booleans)."""

    right: Tensor
    trials: Tensor
    finished: Tensor


def loss(shape: str, levels: Tensor, raw: Tensor, known: Targets) -> Tensor:
    """The loss of each row of outputs under a head of this `shape`.

    Except for `independent`, the mean learns by cross entropy alone, so that it stays the mean whatever the spread. `beta`: the
    spread learns by the likelihood of k of m around that mean. `increments`: the quantiles learn by pinball loss, which leaves
    finished answers out: the quantiles of a right-or-wrong outcome are 0 or 1, not the spread that is asked for.
    """
    rates = known.right / known.trials
    if shape == "independent":
        return pinball(torch.sigmoid(raw), rates, levels)
    mean = binary_cross_entropy_with_logits(raw[:, 0], rates.to(raw.dtype), reduction="none")
    if shape == "beta":
        return mean + beta_binomial(raw[:, 0].detach(), raw[:, 1], known.right, known.trials)
    spread = pinball(torch.sigmoid(increments(raw[:, 1:], len(levels) // 2)), rates, levels)
    return mean + spread * (~known.finished)


def increments(raw: Tensor, middle: int) -> Tensor:
    """Logits that ascend along each row, as `scoring.quantiles_reading.increments` makes them."""
    gaps, centre = softplus(raw), raw[:, middle : middle + 1]
    above = centre + gaps[:, middle + 1 :].cumsum(dim=1)
    below = centre - gaps[:, :middle].flip(1).cumsum(dim=1).flip(1)
    return torch.cat([below, centre, above], dim=1)


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
