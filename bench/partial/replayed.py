"""Whole-answer rules and pruning on the recorded samples of the lab, a call at a time through the ordinary engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from adaptive_middleware.calibration import bundle
from adaptive_middleware.cli.replay_rows import Ordering, orders
from adaptive_middleware.effects import Strategy
from adaptive_middleware.engine import run
from adaptive_middleware.policy import dominated, fixed, optimal_stopping, worth_finishing
from adaptive_middleware.ports import Calibrator, Keep, Policy, Ports
from adaptive_middleware.recording import Problem, read_recording
from adaptive_middleware.replay import (
    RecordedSampler,
    RecordedStreamer,
    Tape,
    once,
    recorded_answer,
    take,
    tape,
)
from adaptive_middleware.scoring.rows import Layout
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.prune import prune
from bench.allocation.curve import Floats
from bench.lab import paths
from bench.partial.counting import CountingScorer, Lengths

FIGURES = ("right", "generated", "scored", "rescored")
_MEAN_LENGTH, _MOST = 40, 32


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and the settings that it is tried with: each makes a strategy from a calibrator."""

    name: str
    settings: tuple[Callable[[Calibrator], Strategy], ...]


def whole(policy: Policy, most: int) -> Callable[[Calibrator], Strategy]:
    """Best-of-N over whole answers."""

    def made(calibrate: Calibrator) -> Strategy:
        asks = not isinstance(policy, fixed)
        return best_of_n(policy, most, calibrate, answer=recorded_answer, score_question=asks)

    return made


def pruned(policy: Policy, keep: Keep) -> Callable[[Calibrator], Strategy]:
    """Answers read step by step, under `keep`."""
    return lambda calibrate: prune(policy, keep, _MOST, calibrate, answer=recorded_answer)


def _stopping(price: float, sharpness: float) -> Policy:
    return optimal_stopping(0.97, price, 1, sharpness, _MEAN_LENGTH)


PRICES = (0.03, 0.05, 0.06, 0.07, 0.1)
REFERENCE = Rule("fixed 16", (whole(fixed(16), 16),))
RULES = (
    Rule("fixed 8", (whole(fixed(8), 8),)),
    REFERENCE,
    Rule(
        "optimal stopping",
        tuple(whole(_stopping(price, 2.0), _MOST) for price in (0.003, 0.01, 0.02, 0.03, 0.045, 0.07)),
    ),
    Rule(
        "prune, worth finishing",
        tuple(
            pruned(_stopping(price, 1.6), worth_finishing(price, _MEAN_LENGTH, 2.0, impatience))
            for price, impatience in product(PRICES, (2.0, 3.0))
        ),
    ),
    Rule(
        "prune, dominated",
        tuple(
            pruned(_stopping(price, 1.6), dominated(give_up))
            for price, give_up in product(PRICES, (0.02, 0.05, 0.1, 0.2))
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Lab:
    """The lab's recorded problems as tapes, each with its calibrator and the orders in which its samples come."""

    problems: tuple[Problem, ...]
    tapes: tuple[Tape, ...]
    calibrators: tuple[Calibrator, ...]
    orders: tuple[Sequence[Sequence[int]], ...]
    lengths: Lengths


def open_lab(layout: Layout, repeats: int, most: int | None = None) -> Lab:
    """The first `most` held-out problems (all without it), `repeats` shuffled orders each."""
    problems = tuple(read_recording(paths.DATA / "heldout.jsonl.gz")[:most])
    calibrate = bundle.load(paths.SHIPPED / "calibration.json").calibration
    ordering = Ordering(shuffled=True, by_seed=False, repeats=repeats, seed=0, depth=_MOST)
    tapes = tuple(map(tape, problems))
    known = tuple(once(calibrate, one) for one in tapes)
    return Lab(problems, tapes, known, tuple(orders(one, ordering) for one in problems), Lengths(layout))


def figures(lab: Lab, rule: Rule) -> Floats:
    """(settings, problems, figures): means over the orders, in the order of `FIGURES`."""
    found = [
        [
            np.mean(
                [_call(lab, index, made(lab.calibrators[index]), order) for order in lab.orders[index]],
                axis=0,
            )
            for index in range(len(lab.tapes))
        ]
        for made in rule.settings
    ]
    return np.asarray(found, dtype=np.float64)


def _call(lab: Lab, index: int, strategy: Strategy, order: Sequence[int]) -> tuple[float, ...]:
    one = lab.tapes[index]
    sampler = RecordedSampler(one, order)
    scorer = CountingScorer(lab.lengths, lambda path: take(path).scores if path.steps else one.question)
    outcome = run(strategy(one.request), Ports(sampler, scorer, streamer=RecordedStreamer(sampler)))
    usage = outcome.usage
    right = float(take(outcome.chosen).correct)
    return (right, usage.completion_tokens, usage.prm_tokens, scorer.rescored)
