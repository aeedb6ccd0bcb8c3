"""Policies replayed on the user's own traffic: the same recorded samples in the same orders, means per problem."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from adaptive_middleware.audit.judged import Floats
from adaptive_middleware.policy import agreement, fixed, optimal_stopping
from adaptive_middleware.ports import Calibrator, Policy
from adaptive_middleware.replay import Tape, once, recorded_answer, replay, take
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.select import Selection, calibrated_argmax, calibrated_vote, majority_vote

MOST_SAMPLES = 16
"""Most samples of a call, as in a configuration that says nothing of it."""

SELECTIONS: Mapping[str, Selection] = MappingProxyType(
    {"argmax": calibrated_argmax, "calibrated-vote": calibrated_vote, "majority": majority_vote}
)


@dataclass(frozen=True, slots=True)
class Contender:
    """A policy with its selection and sample limit; `name` is how `bench replay --policy` calls it.

    `config` is the same as the value of `policy` in a configuration file, where the audit may recommend it.
    """

    name: str
    policy: Policy
    select: str
    limit: int
    config: str = ""


@dataclass(frozen=True, slots=True)
class Played:
    """What a contender achieved and spent: one mean over all orders per problem."""

    contender: Contender
    correct: Floats
    samples: Floats
    tokens: Floats
    prm_tokens: Floats


@dataclass(frozen=True, slots=True)
class Stage:
    """Tapes with the orders in which their samples come, and calibrators that remember."""

    tapes: tuple[Tape, ...]
    orders: tuple[tuple[tuple[int, ...], ...], ...]
    calibrators: tuple[Calibrator, ...]
    scored: bool

    def play(self, contender: Contender, tick: Callable[[], None] = lambda: None) -> Played:
        """Every problem in every order; `tick` is called after each problem."""
        rows = []
        for number in range(len(self.tapes)):
            rows.append(self._problem(contender, number))
            tick()
        correct, samples, tokens, prm_tokens = np.array(rows).T
        return Played(contender, correct, samples, tokens, prm_tokens)

    def _problem(self, contender: Contender, number: int) -> Floats:
        one = self.tapes[number]
        reads = self.scored and contender.select != "majority"
        strategy = best_of_n(
            contender.policy,
            max_samples=contender.limit,
            calibrate=self.calibrators[number],
            select=SELECTIONS[contender.select],
            answer=recorded_answer,
            score=reads,
            score_question=bool(one.question.values) and not isinstance(contender.policy, fixed | agreement),
        )
        outcomes = [replay(one, strategy, order) for order in self.orders[number]]
        rows = [
            (
                take(outcome.chosen).correct,
                len(outcome.considered),
                outcome.usage.completion_tokens,
                outcome.usage.prm_tokens,
            )
            for outcome in outcomes
        ]
        return np.asarray(np.mean(np.array(rows, dtype=np.float64), axis=0))


def stage(tapes: Sequence[Tape], calibrate: Calibrator, *, repeats: int, seed: int) -> Stage:
    """Tapes made ready; the orders are those of `bench replay` with as many `--repeats` and this `--seed`."""
    depth = largest(tapes)
    return Stage(
        tuple(tapes),
        tuple(_orders(one, repeats, depth, seed) for one in tapes),
        tuple(once(calibrate, one) for one in tapes),
        any(one.scored for one in tapes),
    )


def largest(tapes: Sequence[Tape]) -> int:
    """The largest power of two that every problem has samples for."""
    return 1 << (min(len(one.paths) for one in tapes).bit_length() - 1)


def default(tapes: Sequence[Tape]) -> Contender:
    """What a configuration gets that names no policy: optimal stopping, the best calibrated answer."""
    limit = min(largest(tapes), MOST_SAMPLES)
    return Contender(f"optimal-stopping:max={limit}", optimal_stopping(), "argmax", limit)


def rivals(most: int, *, scored: bool) -> list[Contender]:
    """Fixed N = 1, 2, 4, .. up to `most` with votes and (`scored`) by argmax, and votes that stop early."""
    sizes = [2**power for power in range(most.bit_length())]
    early = [_agreement(confidence, most) for confidence in (0.8, 0.9, 0.95, 0.99)]
    argmax = [_fixed(n, "argmax") for n in sizes if scored and (n > 1 or most == 1)]
    return [*(_fixed(n, "majority") for n in sizes if n != 2), *early, *argmax]


def _fixed(n: int, select: str) -> Contender:
    return Contender(f"fixed:n={n},select={select}", fixed(n), select, n, f"{{kind: fixed, n: {n}}}")


def _agreement(confidence: float, most: int) -> Contender:
    config = f"{{kind: agreement, confidence: {confidence}}}"
    name = f"agreement:confidence={confidence},max={most}"
    return Contender(name, agreement(confidence), "majority", most, config)


def _orders(one: Tape, repeats: int, depth: int, seed: int) -> tuple[tuple[int, ...], ...]:
    rng = random.Random(f"{seed}:{one.request.run_id}")  # noqa: S311 - repeatable on purpose
    samples = range(len(one.paths))
    return tuple(tuple(rng.sample(samples, min(depth, len(samples)))) for _ in range(repeats))
