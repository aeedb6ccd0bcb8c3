"""What every rule did on every problem of a pool under one view: arrays of figures, not yet rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from adaptive_middleware.cli.replay_rows import Reel
from adaptive_middleware.recording import Problem
from adaptive_middleware.replay import take
from adaptive_middleware.strategies.select import Selection, calibrated_argmax, calibrated_vote, majority_vote
from adaptive_middleware.types import Candidate, Verdict
from bench.allocation.crossfit import folds
from bench.allocation.curve import Floats, fixed_curve
from bench.allocation.film import film, walk
from bench.allocation.open_answers import read
from bench.allocation.policies import RULES, Play, Rule, Setting, Terms
from bench.allocation.recordings import Pool
from bench.allocation.views import Scenes, View, scenes

_FIXED: dict[View, tuple[tuple[str, Selection], ...]] = {
    View.votes: (("majority", majority_vote),),
    View.raw: (("argmax, raw score", calibrated_argmax),),
    View.both: (("argmax", calibrated_argmax), ("weighted vote", calibrated_vote)),
    View.scores: (("argmax, PRM only", calibrated_argmax), ("weighted vote, PRM only", calibrated_vote)),
    View.logprobs: (("argmax, log-probabilities only", calibrated_argmax),),
    View.oracle: (("any right", calibrated_argmax),),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """A rule's figures, (fits, settings, problems, 5), and `curve`, fixed N's with the rule's selection.

    Curves have the shape (problems, N, 5). A rule that learns has one fit per fold, made without that fold's
    problems; any other has one.
    """

    name: str
    settings: tuple[Setting, ...]
    figures: Floats
    curve: Floats


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything measured under one view; `fixed` are the curves of fixed N by selection."""

    view: View
    calibration: str
    fixed: tuple[tuple[str, Floats], ...]
    rules: tuple[Measured, ...]


def measure(pool: Pool, view: View, rules: Sequence[Rule] = RULES, seed: int = 0) -> Findings:
    """Fixed N and every rule of the view that the recording allows."""
    world = scenes(pool, view, seed)
    curves = {select: _curve(pool, world, select) for _, select in _FIXED[view]}
    fixed = tuple((name, curves[select]) for name, select in _FIXED[view])
    own = [rule for rule in rules if rule.view is view and _fits(world, rule)]
    terms = Terms(pool.reference, pool.limit, tokens=_tokens(world))
    plain = [(rule, rule.play(terms)) for rule in own if not rule.learns]
    found = dict(
        zip((rule for rule, _ in plain), _played(pool, world, [play for _, play in plain]), strict=True)
    )
    measured = {
        rule: Measured(
            rule.name, play.settings, found[rule][None], _curve_of(pool, world, play.select, curves)
        )
        for rule, play in plain
    }
    measured |= {rule: _learned(pool, world, rule, seed) for rule in own if rule.learns}
    return Findings(view, world.calibration, fixed, tuple(measured[rule] for rule in own))


def _played(pool: Pool, world: Scenes, plays: Sequence[Play]) -> list[Floats]:
    """Figures (settings, problems, 5) of each play; plays of one selection watch the same films."""
    found = [np.empty((len(play.settings), len(pool.problems), 5)) for play in plays]
    for select in dict.fromkeys(play.select for play in plays):
        same = [index for index, play in enumerate(plays) if play.select is select]
        for column, (problem, one) in enumerate(zip(pool.problems, world.reels, strict=True)):
            films = [film(one, order, select, pool.limit, _asked(problem)) for order in one.orders]
            for index in same:
                for row, setting in enumerate(plays[index].settings):
                    if setting.keep is None:
                        walks = [walk(shown, setting.policy, setting.cap) for shown in films]
                    else:
                        walks = [read(one, order, select, setting, _asked(problem)) for order in one.orders]
                    found[index][row, column] = np.asarray(walks, dtype=np.float64).mean(axis=0)
    return found


def _learned(pool: Pool, world: Scenes, rule: Rule, seed: int) -> Measured:
    fold_of = folds([problem.id for problem in pool.problems], seed)
    plays = [
        rule.play(Terms(pool.reference, pool.limit, _others(world, fold_of, f), _tokens(world)))
        for f in range(fold_of.max() + 1)
    ]
    curves: dict[Selection, Floats] = {}
    each = [_curve_of(pool, world, play.select, curves) for play in plays]
    curve = np.stack([each[fold][index] for index, fold in enumerate(fold_of)])
    return Measured(rule.name, plays[0].settings, np.stack(_played(pool, world, plays)), curve)


def _fits(world: Scenes, rule: Rule) -> bool:
    return (world.asked or not rule.asks) and (world.stepwise or not rule.steps)


def _tokens(world: Scenes) -> int:
    """Mean completion tokens of an answer, at least 1."""
    paths = [path for one in world.reels for path in one.tape.paths]
    return max(round(float(np.mean([path.usage.completion_tokens for path in paths]))), 1)


def _others(world: Scenes, fold_of: NDArray[np.intp], fold: int) -> list[Reel]:
    return [one for one, own in zip(world.reels, fold_of, strict=True) if own != fold]


def _curve_of(pool: Pool, world: Scenes, select: Selection, known: dict[Selection, Floats]) -> Floats:
    if select not in known:
        known[select] = _curve(pool, world, select)
    return known[select]


def _curve(pool: Pool, world: Scenes, select: Selection) -> Floats:
    """Figures of fixed N = 1, .., limit on each problem, in one request: (problems, N, 5)."""
    pays = world.scored and select is not majority_vote
    found = np.empty((len(pool.problems), pool.limit, 5))
    sizes = np.arange(1, pool.limit + 1)
    for index, (problem, one) in enumerate(zip(pool.problems, world.reels, strict=True)):
        shown = [_candidate(one, number) for number in range(len(one.tape.paths))]
        right = [take(path).correct for path in one.tape.paths]
        tokens = np.mean([path.usage.completion_tokens for path in one.tape.paths])
        scored = np.mean([take(path).scores.tokens for path in one.tape.paths]) if pays else 0.0
        found[index, :, 0] = fixed_curve(shown, right, select, one.orders, pool.limit)
        found[index, :, 1], found[index, :, 2] = sizes, sizes * tokens
        found[index, :, 3], found[index, :, 4] = _asked(problem), sizes * scored
    return found


def _candidate(one: Reel, index: int) -> Candidate:
    path = one.tape.paths[index]
    taken = take(path)
    estimate = one.calibrate(path, taken.scores) if taken.scores.values else None
    verdict = Verdict(taken.correct, "recorded") if one.verified else None
    return Candidate(path, taken.scores, estimate, taken.answer, verdict)


def _asked(problem: Problem) -> float:
    return nan if problem.question_tokens is None else float(problem.question_tokens)
