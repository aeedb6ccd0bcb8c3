"""How many beams to keep and how far to fan them out, from the lower quantiles of their success."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log1p

from adaptive_middleware.policy.difficulty import P_MIN, samples_needed


def beams_to_keep(lower: Sequence[float], samples: int, fanout: int, confidence: float = 0.99) -> int:
    """IAS-of-K: the smallest k with k = K_max or k * `fanout` >= N_IAS(lb_k).

    `lower` are lower quantiles in [0, 1], in any order; lb_k is the k-th largest; K_max is `samples` // `fanout`,
    at least 1, and at most the number of beams. Park et al., NeurIPS 2025, arXiv 2506.09338.

    >>> [beams_to_keep([p] * 4, 16, 4) for p in (0.9, 0.5, 0.3, 0.1)]
    [1, 2, 4, 4]
    """
    most = min(max(samples // fanout, 1), len(lower))
    ranked = sorted(lower, reverse=True)[:most]
    enough = (k for k, p in enumerate(ranked, 1) if k * fanout >= samples_needed(p, confidence))
    return next(enough, most)


def beam_fanout(lower: Sequence[float], samples: int, fanout: int, confidence: float = 0.99) -> int:
    """IAS-of-M: M = min(ceil(ln(1 - C) / ln(1 - min lb) / K_max), `fanout`), the same for all kept beams.

    `lower` are the lower quantiles of the kept beams, at least one, clipped to [1e-4, 1 - 1e-4]; K_max is
    `samples` // `fanout`, at least 1. Park et al., NeurIPS 2025, arXiv 2506.09338.

    >>> [beam_fanout([0.95, p], 16, 4) for p in (0.9, 0.5, 0.3, 0.1)]
    [1, 2, 4, 4]
    """
    hardest = min(max(min(lower), P_MIN), 1 - P_MIN)
    needed = log1p(-confidence) / log1p(-hardest)
    return min(ceil(needed / max(samples // fanout, 1)), fanout)
