"""What `bench replay` computes: policies on the same recorded samples in the same orders, one row each."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from types import MappingProxyType

from adaptive_middleware.cli.policy_spec import Spec
from adaptive_middleware.effects import Strategy
from adaptive_middleware.policy import (
    agreement,
    fixed,
    instance_adaptive,
    optimal_stopping,
    score_distribution,
)
from adaptive_middleware.ports import Calibrator
from adaptive_middleware.recording import Problem
from adaptive_middleware.replay import ENDED, Tape, once, recorded_answer, replay, take
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.strategies.select import Selection, calibrated_argmax, calibrated_vote, majority_vote
from adaptive_middleware.types import Outcome

_RESAMPLES = 2000
_ASKING = (instance_adaptive, optimal_stopping)
_SELECT: Mapping[str, Selection] = MappingProxyType(
    {
        "argmax": calibrated_argmax,
        "calibrated-vote": calibrated_vote,
        "majority": majority_vote,
        "verified": calibrated_argmax,
    }
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result: means over problems of the means over `repeats` orders.

    `accuracy_ci95` resamples problems (percentile bootstrap). `exhausted` is the share of calls that asked
    for more samples than the recording holds; `select` is how the answer was selected.
    """

    policy: str
    select: str
    accuracy: float
    accuracy_ci95: tuple[float, float]
    samples: float
    generated_tokens: float
    prm_tokens: float
    repeats: int
    exhausted: float


@dataclass(frozen=True, slots=True)
class Reel:
    """One problem with its tape, the orders to replay, and its calibrator."""

    tape: Tape
    orders: tuple[tuple[int, ...], ...]
    calibrate: Calibrator
    verified: bool


@dataclass(frozen=True, slots=True)
class _Means:
    correct: float
    samples: float
    tokens: float
    prm_tokens: float
    exhausted: float


@dataclass(frozen=True, slots=True)
class Ordering:
    """How samples are ordered: as recorded or in `repeats` shuffles, all together or each seed's apart.

    `depth` is the longest order needed: verified pools can be large.
    """

    shuffled: bool
    by_seed: bool
    repeats: int
    seed: int
    depth: int


def orders(problem: Problem, by: Ordering) -> tuple[tuple[int, ...], ...]:
    """Sample orders of one problem; they depend on its id and the seed only, so all policies meet the same."""
    groups: dict[int | None, list[int]] = {}
    for index in range(problem.size):
        key = problem.samples[index].seed if by.by_seed else None
        groups.setdefault(key, []).append(index)
    if not by.shuffled:
        return tuple(tuple(group) for group in groups.values())
    rng = random.Random(f"{by.seed}:{problem.id}")  # noqa: S311 - repeatable on purpose
    return tuple(
        tuple(rng.sample(group, min(by.depth, len(group))))
        for _ in range(by.repeats)
        for group in groups.values()
    )


def reel(tape: Tape, order: tuple[tuple[int, ...], ...], calibrate: Calibrator, *, verified: bool) -> Reel:
    """A problem ready for many replays."""
    return Reel(tape, order, once(calibrate, tape), verified)


def fixed_specs(largest: int, selections: Sequence[str]) -> list[Spec]:
    """Fixed N = 1, 2, 4, .. up to `largest`; the first selection is the default and is not in the name."""
    sizes = [2**power for power in range(largest.bit_length())]
    return [
        Spec(f"fixed:n={n}{f',select={select}' if select != selections[0] else ''}", fixed(n), select, n)
        for select in selections
        for n in sizes
    ]


@dataclass(frozen=True, slots=True)
class Bench:
    """Problems with the defaults of a comparison: selection, sample limit, and the bootstrap's seed."""

    reels: Sequence[Reel]
    select: str
    largest: int
    seed: int = 0

    def evaluate(self, spec: Spec, tick: Callable[[], None] = lambda: None) -> Row:
        """Replay one policy on every problem in every order; `tick` is called after each problem."""
        select = spec.select or ("majority" if isinstance(spec.policy, agreement) else self.select)
        means = []
        for one in self.reels:
            means.append(_means(one, strategy(spec, one, select, self.largest)))
            tick()
        return Row(
            spec.name,
            "verified" if all(one.verified for one in self.reels) else select,
            _mean([mean.correct for mean in means]),
            bootstrap([mean.correct for mean in means], self.seed),
            _mean([mean.samples for mean in means]),
            _mean([mean.tokens for mean in means]),
            _mean([mean.prm_tokens for mean in means]),
            max(len(one.orders) for one in self.reels),
            _mean([mean.exhausted for mean in means]),
        )


def strategy(spec: Spec, one: Reel, select: str, largest: int) -> Strategy:
    """The ordinary best-of-N, scoring only where selection or policy reads the scores; pruned with `spec.keep`."""
    if spec.keep is not None:
        return prune(
            spec.policy,
            spec.keep,
            spec.limit or largest,
            one.calibrate,
            _SELECT[select],
            recorded_answer,
            score_question=bool(one.tape.question.values),
        )
    reads = (instance_adaptive, score_distribution)
    needs_scores = select in ("argmax", "calibrated-vote") or isinstance(spec.policy, reads)
    asks_question = bool(one.tape.question.values) and isinstance(spec.policy, _ASKING)
    return best_of_n(
        spec.policy,
        max_samples=spec.limit or largest,
        calibrate=one.calibrate,
        select=_SELECT[select],
        answer=recorded_answer,
        score=needs_scores and (one.tape.scored or asks_question),
        score_question=asks_question,
        verify=one.verified or select == "verified",
    )


def bootstrap(values: Sequence[float], seed: int) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of `values`, from 2000 seeded resamples."""
    rng = random.Random(f"bootstrap:{seed}")  # noqa: S311 - repeatable on purpose
    means = sorted(_mean(rng.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    tail = _RESAMPLES // 40
    return means[tail], means[-tail - 1]


def _means(one: Reel, strategy: Strategy) -> _Means:
    outcomes = [replay(one.tape, strategy, order) for order in one.orders]
    return _Means(
        _mean([take(outcome.chosen).correct for outcome in outcomes]),
        _mean([len(outcome.considered) + len(outcome.dropped) for outcome in outcomes]),
        _mean([outcome.usage.completion_tokens for outcome in outcomes]),
        _mean([outcome.usage.prm_tokens for outcome in outcomes]),
        _mean([_exhausted(outcome) for outcome in outcomes]),
    )


def _exhausted(outcome: Outcome) -> bool:
    return any(cause.startswith(ENDED) for cause in outcome.degraded)


def _mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)
