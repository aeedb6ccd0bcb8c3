"""Fits the calibration of votes: recorded answers with their correctness in, `VoteCalibration` out.

Needs numpy and scipy, which only fitting does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from random import Random

import numpy as np

from adaptive_middleware.calibration.conformal import folds as dealt
from adaptive_middleware.calibration.shapes import regression
from adaptive_middleware.calibration.votes import VoteCalibration, evidence
from adaptive_middleware.errors import CalibrationError

_FEWEST_PROBLEMS = 10
_FEW = 50


@dataclass(frozen=True, slots=True)
class Ballot:
    """The recorded answers of one problem: what each says in canonical form (None: nothing), and whether it is right."""

    answers: tuple[str | None, ...]
    correct: tuple[bool, ...]
    group: str


def fit_votes(ballots: Sequence[Ballot], *, orders: int = 20, seed: int = 0) -> VoteCalibration:
    """The calibration fitted to recorded answers; the same ballots and seed give the same one.

    The answers of each problem are counted in `orders` shuffled orders, at 1, 2, 3, 4, 6, 8, 11, 16, .. votes.

    Raises `CalibrationError`: fewer than ten problems, a ballot that cannot be used, or leaders that are all right or all
    wrong.
    """
    return _fitted([_stages(ballot, orders, seed) for ballot in _checked(ballots)])


def crossfit_votes(
    ballots: Sequence[Ballot], folds: int = 10, seed: int = 0, *, orders: int = 20
) -> dict[str, VoteCalibration]:
    """Problem -> calibration fitted on the other folds' problems only; fewer than 50 problems leave one out.

    A problem on which nobody voted is left out.

    Raises `CalibrationError` for fewer than two folds, and as `fit_votes` does.
    """
    if folds < 2:
        message = f"folds={folds!r}: at least 2 are needed, one to fit on and one to hold out"
        raise CalibrationError(message)
    counted = [(ballot.group, _stages(ballot, orders, seed)) for ballot in _checked(ballots)]
    groups = [group for group, _ in counted]
    count = len(set(groups)) if len(set(groups)) < _FEW else folds
    fold_of = dealt(groups, count, seed)
    fitted = [_fitted([rows for group, rows in counted if fold_of[group] != fold]) for fold in range(count)]
    return {group: fitted[fold] for group, fold in fold_of.items()}


def fingerprint(ballots: Sequence[Ballot]) -> str:
    """SHA-256 of the ballots as sorted canonical JSON lines: the same data in any order has the same one."""
    lines = sorted(json.dumps(astuple(ballot), separators=(",", ":")) for ballot in ballots)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


_Stage = tuple[float, float, float, float, float]
"""The four numbers of the model at one count, and 1 when the leader is right, else 0."""


def _stages(ballot: Ballot, orders: int, seed: int) -> list[_Stage]:
    """What was known, and whether the leader was right, at each counted stage of each order."""
    rng = Random(f"{seed}:{ballot.group}")  # noqa: S311 - repeatable on purpose
    voting = [i for i, answer in enumerate(ballot.answers) if answer is not None]
    stages = set(_counts(len(voting)))
    return [row for _ in range(orders) for row in _order(ballot, rng.sample(voting, len(voting)), stages)]


def _order(ballot: Ballot, order: Sequence[int], stages: set[int]) -> Iterator[_Stage]:
    votes: dict[str | None, int] = {}
    first: dict[str | None, int] = {}
    for count, index in enumerate(order, 1):
        answer = ballot.answers[index]
        votes[answer] = votes.get(answer, 0) + 1
        first.setdefault(answer, index)
        if count in stages:
            leader = max(votes, key=votes.__getitem__)
            yield (*evidence(tuple(votes.values())), float(ballot.correct[first[leader]]))


def _counts(most: int) -> Iterator[int]:
    """Numbers of votes at which a problem is looked at: dense at first, where stopping is decided."""
    power = 0
    while (count := round(2 ** (power / 2))) <= most:
        yield count
        power += 1


def _fitted(problems: Sequence[Sequence[_Stage]]) -> VoteCalibration:
    rows = np.array([row for problem in problems for row in problem])
    right = rows[:, 4]
    if right.min() == right.max():
        what = "right" if right[0] else "wrong"
        message = f"every leading answer is {what}: add {'harder' if right[0] else 'easier'} problems"
        raise CalibrationError(message)
    weights, bias = regression(rows[:, :4], right, ("share", "margin", "support", "unanimity"))
    return VoteCalibration(bias, *(float(weight) for weight in weights))


def _checked(ballots: Sequence[Ballot]) -> list[Ballot]:
    """The ballots on which anybody voted; the order of the problems does not matter."""
    for ballot in ballots:
        if len(ballot.answers) != len(ballot.correct):
            message = (
                f"problem {ballot.group!r}: {len(ballot.answers)} answers, but {len(ballot.correct)} times right or wrong; "
                "give one for each"
            )
            raise CalibrationError(message)
    used = sorted((one for one in ballots if set(one.answers) - {None}), key=lambda one: one.group)
    problems = len({ballot.group for ballot in used})
    if problems < _FEWEST_PROBLEMS:
        message = f"{problems} problems with answers are too few: votes need at least {_FEWEST_PROBLEMS} (and some 100 to be sharp)"
        raise CalibrationError(message)
    return used
