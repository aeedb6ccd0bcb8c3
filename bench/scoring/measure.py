"""Ways measured against each other: they alternate, every stage is timed, and scores are compared with a reference."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from adaptive_middleware.scoring.heads import StepModel
from adaptive_middleware.scoring.rows import Row
from bench.scoring.costs import Peak, floor_ms, mfu, total
from bench.scoring.machine import Clock
from bench.scoring.shapes import Shape
from bench.scoring.ways import Scored, Way
from bench.scoring.workload import Workload


@dataclass(frozen=True, slots=True)
class Timing:
    """One way: its milliseconds, round by round and stage by stage, and what its last stage scored."""

    way: Way
    rounds: tuple[tuple[float, ...], ...]
    scored: Scored

    @property
    def ms(self) -> float:
        """Median over rounds of all stages together."""
        return statistics.median(map(sum, self.rounds))


@dataclass(frozen=True, slots=True)
class Scale:
    """What times are measured against: the shape's cost, in a number format, at the machine's peak."""

    shape: Shape
    peak: Peak
    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class Figures:
    """A line of the table. Rates count the way's own tokens, padding included, or the useful ones: the same for
    every way of a case, so those compare. `roofline` is the least possible time of the useful work over the time.
    """

    case: str
    way: str
    ms: float
    ms_per_step: float
    tokens: int
    tokens_per_s: float
    useful_tokens_per_s: float
    sequences_per_s: float
    mfu: float
    useful_mfu: float
    roofline: float
    max_abs_dp: float
    kv_bytes: int
    rounds: int


def measure(ways: Sequence[Way], clock: Clock, rounds: int) -> list[Timing]:
    """Every way in turn, `rounds` times over; a way that is listed twice has twice the rounds.

    Raises `ArithmeticError` when the engine computed other tokens than the formulas say: the comparison
    would be of something else.
    """
    runs: dict[str, list[tuple[float, ...]]] = {way.name: [] for way in ways}
    last: dict[str, list[Scored]] = {}
    for _ in range(rounds):
        for way in ways:
            timed = [clock(stage) for stage in way.stages()]
            runs[way.name].append(tuple(ms for ms, _ in timed))
            last[way.name] = [scored for _, scored in timed]
    distinct = {way.name: way for way in ways}
    return [_timing(way, runs[name], last[name]) for name, way in distinct.items()]


def last_batch(timing: Timing, load: Workload) -> Timing:
    """The last forward of padded rescoring, as the padded batch of whole answers that it is."""
    way = Way(
        "padded batch", timing.way.stages, timing.way.rows, timing.way.own[-1:], (load.shared(load.steps),)
    )
    return Timing(way, tuple(stages[-1:] for stages in timing.rounds), timing.scored)


def _timing(way: Way, rounds: Sequence[tuple[float, ...]], stages: Sequence[Scored]) -> Timing:
    counted = [scored.tokens for scored in stages if scored.tokens is not None]
    expected = [work.tokens for work in way.own]
    if counted and counted != expected:
        message = f"{way.name}: the engine computed {counted} tokens per stage, the formulas say {expected}"
        raise ArithmeticError(message)
    return Timing(way, tuple(rounds), stages[-1])


def figures(case: str, timing: Timing, scale: Scale, dp: float) -> Figures:
    """The line of one way."""
    way, seconds, shape = timing.way, timing.ms / 1000, scale.shape
    own, useful = total(way.own), total(way.useful)
    floor = sum(floor_ms(shape, work, scale.peak, scale.dtype.itemsize) for work in way.useful)
    return Figures(
        case=case,
        way=way.name,
        ms=timing.ms,
        ms_per_step=timing.ms / len(way.own),
        tokens=own.tokens,
        tokens_per_s=own.tokens / seconds,
        useful_tokens_per_s=useful.tokens / seconds,
        sequences_per_s=len(way.rows) / seconds,
        mfu=mfu(shape, own, timing.ms, scale.peak),
        useful_mfu=mfu(shape, useful, timing.ms, scale.peak),
        roofline=floor / timing.ms,
        max_abs_dp=dp,
        kv_bytes=shape.kv_bytes(way.kept, scale.dtype.itemsize),
        rounds=len(timing.rounds),
    )


def probabilities(logits: Iterable[Sequence[float]]) -> list[float]:
    """The chance that a step is right, as the Qwen PRM's softmax over two outputs gives it.

    >>> probabilities([(0.0, 0.0), (1.0, 3.0)])
    [0.5, 0.8807970779778823]
    """
    return [1 / (1 + math.exp(wrong - right)) for wrong, right in logits]


class Reference:
    """Scores of rows one by one in float32; each row is computed once, and only the first few of a way."""

    def __init__(self, network: StepModel, rows: int) -> None:
        self._network, self._rows = network, rows
        self._known: dict[Row, list[float]] = {}

    def gap(self, timing: Timing) -> float:
        """The largest difference of probabilities over the first rows' steps."""
        wanted = [p for row in timing.way.rows[: self._rows] for p in self._of(row)]
        found = probabilities(timing.scored.logits[: len(wanted)])
        return max(abs(one - other) for one, other in zip(wanted, found, strict=True))

    def _of(self, row: Row) -> list[float]:
        if row not in self._known:
            self._known[row] = probabilities(self._network([row]))
        return self._known[row]
