"""Rules when every sample is checked: each gives a problem a number of tries, and is computed exactly, not replayed.

With a verifier a rule learns only from failures, and k failures in a row are the same whoever drew them. So any rule is a
number of tries per problem, made at once or until the first success. With p the chance of one sample and S(j) the chance
that j samples all fail, m tries succeed with probability 1 - S(m) and, stopping at success, draw S(0) + .. + S(m - 1).

S is (1 - p)^j with p = n_correct / n where at least 256 samples were recorded of every problem (then the draw is
m <= 256 times (1 - (1 - p)^m) / p); with fewer, samples are drawn without replacement: S(j) = C(n - k, j) / C(n, j).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from adaptive_middleware import belief as beliefs
from adaptive_middleware.policy import samples_needed
from adaptive_middleware.recording import Problem
from adaptive_middleware.types import Belief
from bench.allocation.crossfit import folds
from bench.allocation.curve import Floats
from bench.allocation.recordings import Pool

CAP = 256
_CLIP = 5e-4
_CONFIDENCES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
_NAMED = (0.02, 0.01, 0.005, 0.004, 0.003)


@dataclass(frozen=True, slots=True)
class Tries:
    """A rule's settings by label: `tries` is (settings, problems); `stops` says whether at the first success."""

    labels: tuple[str, ...]
    tries: NDArray[np.intp]
    stops: bool = True
    shown: frozenset[str] = frozenset()


def right_of(problem: Problem) -> tuple[int, int]:
    """(right, all) samples of a problem."""
    if problem.verified:
        return problem.n_correct, problem.n
    return sum(sample.correct for sample in problem.samples), problem.size


def survival(right: int, total: int, most: int) -> Floats:
    """S(0), .., S(most): the chance that so many samples all fail.

    >>> survival(1, 2, 2).tolist()
    [1.0, 0.5, 0.0]
    """
    if total >= CAP:
        return np.asarray((1 - right / total) ** np.arange(most + 1), dtype=np.float64)
    fails = [max(total - right - j, 0) / (total - j) for j in range(most)]
    return np.concatenate([[1.0], np.cumprod(fails)])


def figures(pool: Pool, rule: Tries) -> Floats:
    """(settings, problems, 5): coverage, samples, and generated, prompt and PRM tokens, in expectation.

    Tokens are the problem's mean per sample; a request draws one sample when it stops at success, else all.
    """
    found = np.empty((*rule.tries.shape, 5))
    for index, problem in enumerate(pool.problems):
        m = rule.tries[:, index]
        fails = survival(*right_of(problem), int(m.max()))
        drawn = np.concatenate([[0.0], np.cumsum(fails)])[m] if rule.stops else m.astype(np.float64)
        requests = drawn if rule.stops else (m > 0).astype(np.float64)
        tokens = [sample.tokens for sample in problem.samples]
        asked = nan if problem.question_tokens is None else float(problem.question_tokens)
        generated = drawn * (float(np.mean(tokens)) if tokens else nan)
        found[:, index] = np.stack(
            [1 - fails[m], drawn, generated, requests * asked, np.zeros(len(m))], axis=1
        )
    return found


def worth(belief: Belief, cap: int) -> Floats:
    """E[p | k failures] for k = 0, .., cap - 1: the posterior weighs each p by (1 - p)^k, so it never rises.

    >>> worth(Belief((0.2, 0.6), (0.5, 0.5)), 2).round(4).tolist()
    [0.4, 0.3333]
    """
    support, weights = np.asarray(belief.support), np.asarray(belief.weights)
    failed = weights * (1 - support) ** np.arange(cap)[:, None]
    expected: Floats = failed @ support / failed.sum(axis=1)
    return expected


def population(pool: Pool, seed: int) -> dict[str, Belief]:
    """The prior that knows nothing of the question: the other folds' success rates, each equally likely.

    A single problem has no others: every chance is then equally likely.
    """
    fold_of = folds([problem.id for problem in pool.problems], seed)
    rates = np.asarray([right / total for right, total in map(right_of, pool.problems)])
    clipped = np.clip(rates, _CLIP, 1 - _CLIP)
    if len(clipped) < 2:
        return {problem.id: beliefs.uniform() for problem in pool.problems}
    priors = [_empirical(clipped[fold_of != fold]) for fold in range(int(fold_of.max()) + 1)]
    return {problem.id: priors[fold] for problem, fold in zip(pool.problems, fold_of.tolist(), strict=True)}


def _empirical(rates: Floats) -> Belief:
    support, counts = np.unique(rates, return_counts=True)
    return Belief(tuple(support.tolist()), tuple((counts / counts.sum()).tolist()))


def uniform(pool: Pool, *, stops: bool) -> Tries:
    """The same number for every problem: 1, 2, .. up to what there are samples for."""
    sizes = np.arange(1, min(pool.limit, CAP) + 1)
    word = "cap" if stops else "N ="
    labels = tuple(f"{word} {m}" for m in sizes)
    shown = frozenset(f"{word} {1 << power}" for power in range(CAP.bit_length()))
    return Tries(labels, np.repeat(sizes[:, None], len(pool.problems), axis=1), stops, shown)


def give_up(pool: Pool, priors: Mapping[str, Belief]) -> Tries:
    """Sequential Bayes: stop at success, give up when E[p | failures] is under a price; at least one try."""
    cap = min(pool.limit, CAP)
    prices = np.unique(np.concatenate([_NAMED, np.geomspace(0.001, 0.9, 300)]))
    found = [np.sum(worth(priors[one.id], cap) >= prices[:, None], axis=1) for one in pool.problems]
    labels = tuple(f"price {price:.4g}" for price in prices)
    return Tries(
        labels, np.maximum(np.stack(found, axis=1), 1), True, frozenset(f"price {p:.4g}" for p in _NAMED)
    )


def instance_adaptive(pool: Pool, priors: Mapping[str, Belief], level: float | None) -> Tries:
    """The rule of instance-adaptive scaling plus stopping, with p the prior's mean, or its quantile `level`."""
    known = [priors[problem.id] for problem in pool.problems]
    chances = [belief.mean if level is None else beliefs.quantile(belief, level) for belief in known]
    cap = min(pool.reference, CAP)
    wanted = [[min(samples_needed(p, c), cap) for p in chances] for c in _CONFIDENCES]
    labels = tuple(f"C = {c:g}, cap {cap}" for c in _CONFIDENCES)
    return Tries(labels, np.asarray(wanted, dtype=np.intp), True, frozenset({f"C = 0.99, cap {cap}"}))


def greedy(pool: Pool, *, stops: bool) -> Tries:
    """Damani's allocation with the true p: every try is made whose gain is worth the price.

    The gain of try k, S(k - 1) - S(k), falls with k, so buying all tries above one price is the best use of
    their sum.
    """
    most = min(pool.limit, CAP)
    prices = np.geomspace(0.0002, 0.9, 300)
    gains = [-np.diff(survival(*right_of(problem), most)) for problem in pool.problems]
    bought = np.stack([np.sum(gain >= prices[:, None], axis=1) for gain in gains], axis=1)
    return Tries(tuple(f"price {price:.4g}" for price in prices), bought, stops)


def never_hopeless(pool: Pool) -> Tries:
    """The same cap for every problem that was ever solved, and no try at all for the others."""
    same = uniform(pool, stops=True)
    solvable = np.asarray([right_of(problem)[0] > 0 for problem in pool.problems], dtype=np.intp)
    return Tries(same.labels, same.tries * solvable)
