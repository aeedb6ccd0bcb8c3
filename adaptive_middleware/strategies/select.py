"""Selection: which candidate is returned, and how sure that is.

Verified beats scored, scored beats counted. A tie is resolved to the earliest candidate and said so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import TypeAlias

from adaptive_middleware.code.agreement import agreement_scores
from adaptive_middleware.types import Candidate, Choice

Selection: TypeAlias = Callable[[Sequence[Candidate]], Choice]
"""Picks one of at least one candidates."""


def calibrated_argmax(candidates: Sequence[Candidate]) -> Choice:
    """The candidate with the highest calibrated probability; a vote when none is scored.

    A calibration may map different raw scores to one probability: the higher raw score of the last step
    then decides.
    """
    return _verified_first(candidates, _argmax)


def calibrated_vote(candidates: Sequence[Candidate]) -> Choice:
    """The best candidate of the answer with the largest sum of calibrated probabilities.

    Unscored candidates weigh as much as the mean of the scored ones. The probability of the winner is
    that of its best supporter: samples of one problem are not independent, so agreement adds weight in
    the vote but is not multiplied into a probability.
    """
    return _verified_first(candidates, _weighted)


def majority_vote(candidates: Sequence[Candidate]) -> Choice:
    """The first candidate of the most frequent answer; candidates without an answer count alone."""
    return _verified_first(candidates, _majority)


def execution_agreement(candidates: Sequence[Candidate]) -> Choice:
    """The candidate that most others and most generated tests agree with (CodeT); of equals, the one `calibrated_argmax` picks.

    The results are those of the verdicts' `tests`; candidates without any are not chosen where others have some, and
    where none has, this is `calibrated_argmax`. Agreement is no probability: the choice has that of its estimate, if any.
    """
    return _verified_first(candidates, _agreed)


@dataclass(frozen=True, slots=True)
class counted_vote:  # noqa: N801 - reads as a word, like the policies
    """`majority_vote` that knows how sure it is: `by_votes` reads the counts (`calibration.votes`)."""

    by_votes: Callable[[Sequence[int]], float]

    def __call__(self, candidates: Sequence[Candidate]) -> Choice:
        """The first candidate of the most frequent answer, with the probability that this answer is right."""
        choice = majority_vote(candidates)
        if choice.probability is not None or candidates[choice.index].answer is None:
            return choice
        return replace(choice, probability=self.by_votes(votes(candidates)), how="majority vote, calibrated")


def votes(candidates: Sequence[Candidate]) -> tuple[int, ...]:
    """Counts of canonical answers, largest first; candidates without an answer or that failed verification are left out."""
    counts: dict[str, int] = {}
    for candidate in candidates:
        failed = candidate.verdict is not None and candidate.verdict.passed is False
        if candidate.answer is not None and not failed:
            counts[candidate.answer] = counts.get(candidate.answer, 0) + 1
    return tuple(sorted(counts.values(), reverse=True))


_Standing: TypeAlias = Mapping[int, Candidate]
"""Candidates by their index, without those that failed verification."""


def _verified_first(candidates: Sequence[Candidate], rule: Callable[[_Standing], Choice]) -> Choice:
    """The first verified candidate; otherwise what `rule` picks of those that did not fail."""
    verdicts = [None if c.verdict is None else c.verdict.passed for c in candidates]
    if True in verdicts:
        return Choice(verdicts.index(True), 1.0, "verified")
    standing = {
        i: c for i, (c, passed) in enumerate(zip(candidates, verdicts, strict=True)) if passed is None
    }
    if not standing:
        return Choice(0, 0.0, "first of candidates that all failed verification")
    return rule(standing)


def _argmax(standing: _Standing) -> Choice:
    ranks = {i: (c.estimate.mean, _raw(c)) for i, c in standing.items() if c.estimate is not None}
    if not ranks:
        return _majority(standing)
    best = max(ranks.values())
    winners = [i for i, rank in ranks.items() if rank == best]
    answers = {_key(standing[i], i) for i in winners}
    return Choice(winners[0], best[0], "calibrated argmax", tied=len(answers) > 1)


def _agreed(standing: _Standing) -> Choice:
    rows = {i: c.verdict.tests for i, c in standing.items() if c.verdict is not None and c.verdict.tests}
    if not rows:
        return _argmax(standing)
    scores = dict(zip(rows, agreement_scores(list(rows.values())), strict=True))
    top = max(scores.values())
    leaders = {i: standing[i] for i, score in scores.items() if score == top}
    choice = _argmax(leaders)
    sets = {rows[i] for i in leaders}
    return replace(choice, how="agreement on generated tests", tied=len(sets) > 1)


def _weighted(standing: _Standing) -> Choice:
    means = [c.estimate.mean for c in standing.values() if c.estimate is not None]
    if not means:
        return _majority(standing)
    neutral = fsum(means) / len(means)
    weights = {i: neutral if c.estimate is None else c.estimate.mean for i, c in standing.items()}
    leaders, tied = _leading_cluster(standing, weights)
    index = max(leaders, key=lambda i: (weights[i], -i))
    return Choice(index, weights[index], "calibrated-weighted vote", tied)


def _majority(standing: _Standing) -> Choice:
    leaders, tied = _leading_cluster(standing, dict.fromkeys(standing, 1.0))
    how = "majority vote" if len(standing) > 1 else "only candidate"
    return Choice(leaders[0], None, how, tied)


def _raw(candidate: Candidate) -> float:
    return candidate.scores.values[-1] if candidate.scores is not None and candidate.scores.values else 0.0


def _leading_cluster(standing: _Standing, weights: Mapping[int, float]) -> tuple[list[int], bool]:
    clusters: dict[str, list[int]] = {}
    for index, candidate in standing.items():
        clusters.setdefault(_key(candidate, index), []).append(index)
    totals = [fsum(weights[i] for i in members) for members in clusters.values()]
    top = max(totals)
    leaders = [members for members, total in zip(clusters.values(), totals, strict=True) if total == top]
    return leaders[0], len(leaders) > 1


def _key(candidate: Candidate, index: int) -> str:
    return f"unanswered-{index}" if candidate.answer is None else f"answer-{candidate.answer}"
