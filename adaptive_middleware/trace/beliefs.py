"""What was believed of a kept call after each sample, computed anew from what was kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from adaptive_middleware import belief as beliefs
from adaptive_middleware.types import Belief, Estimate

BINS = 24


@dataclass(frozen=True, slots=True)
class Believed:
    """The belief over the success chance of one more sample, after something was seen.

    `after` says what: "question", or a sample by its number from 1. `low` and `high` are the 10 % and 90 % quantiles; `bins`
    are the masses of `BINS` equal parts of [0, 1], which sum to 1.
    """

    after: str
    mean: float
    low: float
    high: float
    bins: tuple[float, ...]


def believed(report: Mapping[str, Any], prior: Sequence[Sequence[float]] | None) -> list[Believed]:
    """The beliefs of a call in the order of its samples; `prior` are the quantiles of the question's estimate."""
    belief = _prior(report, prior)
    base_rate = belief.mean
    seen = [_seen("question", belief)]
    for number, candidate in enumerate(report["candidates"], 1):
        belief = _after(belief, candidate, base_rate)
        seen.append(_seen(f"sample {number}", belief))
    for number, dropped in enumerate(report["dropped"], 1):
        if dropped["p"] is not None:
            belief = beliefs.after_estimate(belief, _estimate(dropped["p"]), base_rate)
        seen.append(_seen(f"dropped {number}", belief))
    return seen


def masses(belief: Belief, bins: int) -> tuple[float, ...]:
    """The mass of a belief in equal parts of [0, 1]: each grid value's weight spread to halfway to its neighbours.

    >>> masses(Belief((0.25, 0.75), (0.2, 0.8)), 4)
    (0.1, 0.1, 0.4, 0.4)
    """
    edges = (0.0, *((low + high) / 2 for low, high in pairwise(belief.support)), 1.0)
    below = [0.0]
    for weight in belief.weights:
        below.append(below[-1] + weight)
    parts = [_below(edges, below, number / bins) for number in range(bins + 1)]
    return tuple(round(high - low, 12) for low, high in pairwise(parts))


def _below(edges: Sequence[float], below: Sequence[float], p: float) -> float:
    cell = min(bisect_right(edges, p), len(edges) - 1) - 1
    share = (p - edges[cell]) / (edges[cell + 1] - edges[cell])
    return below[cell] + share * (below[cell + 1] - below[cell])


def _prior(report: Mapping[str, Any], prior: Sequence[Sequence[float]] | None) -> Belief:
    question = report["question"]
    if question is None:
        return beliefs.uniform()
    quantiles = tuple((level, value) for level, value in prior or ())
    return beliefs.from_estimate(Estimate(question["mean"], question["lower"], question["upper"], quantiles))


def _after(belief: Belief, candidate: Mapping[str, Any], base_rate: float) -> Belief:
    if candidate["verified"] is not None:
        return beliefs.after_verdict(belief, candidate["verified"])
    if candidate["estimate"] is not None:
        return beliefs.after_estimate(belief, _estimate(candidate["estimate"]["mean"]), base_rate)
    return belief


def _estimate(mean: float) -> Estimate:
    return Estimate(mean, mean, mean)


def _seen(after: str, belief: Belief) -> Believed:
    low, high = beliefs.quantile(belief, 0.1), beliefs.quantile(belief, 0.9)
    return Believed(after, belief.mean, low, high, masses(belief, BINS))


def picture(bins: Sequence[float], letters: str = " ▁▂▃▄▅▆▇█") -> str:
    """A row of letters, one for each part, the tallest for the largest mass.

    >>> picture((0.0, 0.1, 0.4, 0.2))
    ' ▂█▄'
    """
    return "".join(_letters(bins, letters))


def _letters(bins: Sequence[float], letters: str) -> Iterator[str]:
    top = max(bins)
    for mass in bins:
        yield letters[round(mass / top * (len(letters) - 1)) if top > 0 else 0]
