"""Accuracy of fixed N at every N, exact where it can be, and what a given accuracy costs on that curve.

"Exact" is the expectation over all draws of N of a problem's recorded samples without replacement, in random order: what
infinitely many shuffles would show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import ceil, comb
from random import Random
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from adaptive_middleware.strategies.select import (
    Selection,
    calibrated_argmax,
    calibrated_vote,
    majority_vote,
)
from adaptive_middleware.types import Candidate

Floats: TypeAlias = NDArray[np.float64]
_TOLERANCE = 1e-12
_FINEST = 1074
_SHUFFLES = 600


def fixed_curve(
    candidates: Sequence[Candidate],
    right: Sequence[bool],
    select: Selection,
    orders: Sequence[Sequence[int]],
    most: int,
) -> list[float]:
    """Accuracy of one problem at N = 1, .., `most` when `select` picks of N samples.

    Exact for verified samples, for the majority vote, and for the calibrated argmax of scored samples. The
    calibrated vote of scored samples is counted on 600 shuffles or more; any other selection is run on the
    beginnings of `orders`.
    """
    if all(candidate.verdict is not None for candidate in candidates):
        return argmax_curve([(one,) for one in right], right, most)
    if select is majority_vote:
        return majority_curve(_clusters(candidates, right), most)
    ranks = [
        (one.estimate.mean, one.scores.values[-1])
        for one in candidates
        if one.estimate is not None and one.scores is not None
    ]
    if select is calibrated_argmax and len(ranks) == len(candidates):
        return argmax_curve(ranks, right, most)
    if select is calibrated_vote and len(ranks) == len(candidates):
        keys = [_key(index, candidate) for index, candidate in enumerate(candidates)]
        return vote_curve([mean for mean, _ in ranks], keys, right, _shuffles(repr(ranks), len(ranks)), most)
    hits = [
        [right[order[_picked(candidates, select, order[:n])]] for n in range(1, most + 1)] for order in orders
    ]
    return [float(value) for value in np.mean(np.asarray(hits, dtype=np.float64), axis=0)]


def argmax_curve(ranks: Sequence[tuple[float, ...]], right: Sequence[bool], most: int) -> list[float]:
    """Accuracy at N = 1, .., `most` of returning the sample of highest rank; equal ranks win equally often.

    Three samples, the best one right: one draw finds it once in three, two draws twice.

    >>> [round(value, 4) for value in argmax_curve([(0.9,), (0.2,), (0.1,)], [True, False, False], 3)]
    [0.3333, 0.6667, 1.0]
    """
    total = len(ranks)
    accuracy = [0.0] * most
    left = total
    for rank in sorted(set(ranks), reverse=True):
        members = [good for one, good in zip(ranks, right, strict=True) if one == rank]
        share = sum(members) / len(members)
        for n in range(1, most + 1):
            best = (comb(left, n) - comb(left - len(members), n)) / comb(total, n)
            accuracy[n - 1] += share * best
        left -= len(members)
    return accuracy


def majority_curve(clusters: Sequence[tuple[int, int]], most: int) -> list[float]:
    """Accuracy at N = 1, .., `most` of the majority vote; a cluster is (samples, right ones) of one answer.

    Equally large clusters win equally often: the first to appear does, and each is first equally often. A tie
    of t + 1 clusters counts 1 / (t + 1), the integral of y^t over [0, 1], so ties are counted by a
    polynomial in y that Gauss-Legendre quadrature integrates exactly.

    >>> [round(value, 4) for value in majority_curve([(2, 2), (1, 0)], 3)]
    [0.6667, 0.6667, 1.0]
    """
    sizes = Counter(size for size, _ in clusters)
    shares = {size: sum(good / size for one, good in clusters if one == size) for size in sizes}
    total = sum(size for size, _ in clusters)
    nodes, weights = np.polynomial.legendre.leggauss(len(clusters) // 2 + 1)
    y, weights = (nodes + 1) / 2, weights / 2
    ways = np.zeros(most + 1)
    for size, share in shares.items():
        if share:
            others = sizes - Counter([size])
            for lead in range(1, min(size, most) + 1):
                beaten = weights @ _below(others, lead, y, most)
                ways[lead:] += share * comb(size, lead) * beaten[: most + 1 - lead]
    return [float(ways[n] / comb(total, n)) for n in range(1, most + 1)]


def vote_curve(
    weights: Sequence[float],
    keys: Sequence[str],
    right: Sequence[bool],
    orders: Iterable[Sequence[int]],
    most: int,
) -> list[float]:
    """Accuracy at N = 1, .., `most` of the heaviest sample of the answer with the largest sum of weights.

    As `calibrated_vote` picks, counted along every order: sums are exact (fractions of 2^1074), so equal ones tie.
    """
    exact = [int(Fraction(weight) * 2**_FINEST) for weight in weights]
    hits = [0] * most
    count = 0
    for order in orders:
        totals: dict[str, int] = {}
        best: dict[str, int] = {}
        for n, index in enumerate(order[:most]):
            key = keys[index]
            totals[key] = totals.get(key, 0) + exact[index]
            if key not in best or exact[index] > exact[best[key]]:
                best[key] = index
            hits[n] += right[best[max(totals, key=totals.__getitem__)]]
        count += 1
    return [hit / count for hit in hits]


def _shuffles(seed: str, samples: int) -> Iterator[list[int]]:
    """Shuffles with all their rotations, so that every sample is equally often at every place: N = 1 is exact."""
    rng = Random(seed)
    for _ in range(ceil(_SHUFFLES / samples)):
        order = rng.sample(range(samples), samples)
        yield from (order[start:] + order[:start] for start in range(samples))


def _below(sizes: Counter[int], lead: int, y: Floats, most: int) -> Floats:
    """Ways to draw 0, .., `most` samples of clusters that stay under `lead`, times y for each that ties."""
    ways = np.zeros((len(y), most + 1))
    ways[:, 0] = 1.0
    for size in sizes.elements():
        grown = np.zeros_like(ways)
        for drawn in range(min(size, lead, most) + 1):
            factor = comb(size, drawn) * (y[:, None] if drawn == lead else 1.0)
            grown[:, drawn:] += factor * ways[:, : most + 1 - drawn]
        ways = grown
    return ways


def costs_at(curves: Floats, costs: Floats, accuracy: Floats) -> Floats:
    """What each accuracy costs on its fixed-N curve: the share's denominator.

    `curves` and `costs` are rows over N = 1, 2, ..; the curve is made monotone by its running maximum (what
    fixed N has reached so far), and is linear between successive N. An accuracy that N = 1 reaches costs what
    N = 1 costs; one that no N reaches costs infinity.

    >>> curve, costs = np.array([[0.5, 0.7, 0.6]]), np.array([[10.0, 20.0, 30.0]])
    >>> [float(costs_at(curve, costs, np.array([x]))[0]) for x in (0.4, 0.6, 0.7, 0.71)]
    [10.0, 15.0, 20.0, inf]
    """
    best = np.maximum.accumulate(curves, axis=1)
    reached = np.sum(best < accuracy[:, None] - _TOLERANCE, axis=1)
    rows, last = np.arange(len(best)), best.shape[1] - 1
    high = np.minimum(reached, last)
    low = np.maximum(high - 1, 0)
    rise = best[rows, high] - best[rows, low]
    share = np.where(rise > 0, (accuracy - best[rows, low]) / np.where(rise > 0, rise, 1.0), 1.0)
    between = costs[rows, low] + np.clip(share, 0.0, 1.0) * (costs[rows, high] - costs[rows, low])
    found = np.where(reached == 0, costs[:, 0], between)
    return np.where(reached > last, np.inf, found)


def _clusters(candidates: Sequence[Candidate], right: Sequence[bool]) -> list[tuple[int, int]]:
    """(samples, right ones) of each answer; a sample without an answer is a cluster of its own."""
    groups: dict[str, list[bool]] = {}
    for index, (candidate, good) in enumerate(zip(candidates, right, strict=True)):
        groups.setdefault(_key(index, candidate), []).append(good)
    return [(len(members), sum(members)) for members in groups.values()]


def _key(index: int, candidate: Candidate) -> str:
    return f"unanswered-{index}" if candidate.answer is None else f"answer-{candidate.answer}"


def _picked(candidates: Sequence[Candidate], select: Selection, order: Sequence[int]) -> int:
    return select([candidates[index] for index in order]).index
