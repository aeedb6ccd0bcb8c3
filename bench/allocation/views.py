"""Views: what of a recording a rule may read, and how scores become probabilities under it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import exp

from adaptive_middleware.cli.replay_calibration import calibrators
from adaptive_middleware.cli.replay_rows import Ordering, Reel, orders, reel
from adaptive_middleware.logprobs import summary
from adaptive_middleware.recording import Problem
from adaptive_middleware.replay import Take, Tape, as_written, take, tape
from adaptive_middleware.types import Path, StepScores
from bench.allocation.recordings import ROOT, Pool


class View(StrEnum):
    """What a rule may read of the samples beside their answers."""

    votes = "neither"
    raw = "raw scores"
    both = "scores and log-probabilities"
    scores = "scores"
    logprobs = "log-probabilities"
    oracle = "which samples are right"


@dataclass(frozen=True, slots=True)
class Scenes:
    """A pool under one view: its problems ready for replay, and a line about their calibration.

    `scored` says whether PRM scores are read, and paid.
    """

    view: View
    reels: tuple[Reel, ...]
    calibration: str

    @property
    def scored(self) -> bool:
        """Whether there are scores to read."""
        return any(one.tape.scored for one in self.reels)

    @property
    def stepwise(self) -> bool:
        """Whether any sample has scores of several steps."""
        return any(len(take(path).scores.values) > 1 for one in self.reels for path in one.tape.paths)

    @property
    def asked(self) -> bool:
        """Whether every question has a score of its own."""
        return all(bool(one.tape.question.values) for one in self.reels)


def possible(problems: Sequence[Problem]) -> tuple[View, ...]:
    """Views that the recording allows: votes and the oracle always, the others where it has the signal."""
    samples = [sample for problem in problems for sample in problem.samples]
    scored = any(sample.scores is not None or sample.prm_score is not None for sample in samples)
    told = bool(samples) and all(summary(sample.logprobs) is not None for sample in samples)
    found = [View.votes, View.oracle]
    if scored:
        found += [View.raw, View.scores]
    if told:
        found.append(View.logprobs)
    if scored and told:
        found.append(View.both)
    return tuple(found)


def scenes(pool: Pool, view: View, seed: int = 0) -> Scenes:
    """The pool under a view, calibrated: by its bundle, else cross-fitted by problem, else raw (and said so)."""
    tapes = [_VIEWS[view](tape(problem, as_written)) for problem in pool.problems]
    how: str | None = None
    if view is View.raw:
        how = "raw"
    elif view in (View.both, View.scores) and pool.source.calibration:
        how = str(ROOT / pool.source.calibration)
    fitted, note = calibrators(tapes, how, seed)
    by = Ordering(shuffled=True, by_seed=False, repeats=pool.repeats, seed=seed, depth=pool.limit)
    reels = tuple(
        reel(one, orders(problem, by), calibrate, verified=view is View.oracle)
        for problem, one, calibrate in zip(pool.problems, tapes, fitted, strict=True)
    )
    return Scenes(view, reels, note.replace(f"{ROOT}/", ""))


def _votes(one: Tape) -> Tape:
    """Answers alone."""
    return _retaken(replace(one, question=_NOTHING), lambda _: _NOTHING)


def _scores(one: Tape) -> Tape:
    """Without log-probabilities."""
    return replace(one, paths=tuple(replace(path, logprobs=None) for path in one.paths))


def _logprobs(one: Tape) -> Tape:
    """With the geometric mean probability of an answer's tokens in place of its scores; the question has none."""

    def confidence(path: Path) -> StepScores:
        pair = summary(path.logprobs)
        if pair is None:
            return _NOTHING
        return StepScores((exp(min(pair[1], 0.0)),), first=max(len(path.steps), 1) - 1)

    return _retaken(replace(one, question=_NOTHING), confidence)


def _retaken(one: Tape, scores: Callable[[Path], StepScores]) -> Tape:
    paths = tuple(replace(path, raw=_take(path, scores(path))) for path in one.paths)
    return replace(one, paths=paths)


def _take(path: Path, scores: StepScores) -> Take:
    return replace(take(path), scores=scores)


_NOTHING = StepScores(rejected="not part of this view")
_VIEWS: dict[View, Callable[[Tape], Tape]] = {
    View.votes: _votes,
    View.raw: lambda one: one,
    View.both: lambda one: one,
    View.scores: _scores,
    View.logprobs: _logprobs,
    View.oracle: _votes,
}
