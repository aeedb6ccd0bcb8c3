"""Measured paths: what a collection yields, as rows of the examples' format."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path as File

from adaptive_middleware.atomic import replace_file
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.collect.records import Pair


@dataclass(frozen=True, slots=True)
class Measured:
    """One path with its raw step scores: `success` of `rollouts` continuations ended right."""

    problem: str
    level: object
    steps: tuple[str, ...]
    done: bool
    success: int
    rollouts: int
    logprobs: Pair | None
    scores: tuple[float, ...]
    tokens: int | None = None

    def example(self) -> Example:
        """The numbers alone, as `calibration.examples.read` gives them."""
        rate = self.success / self.rollouts
        size, m = len(self.steps), self.rollouts
        return Example(self.scores, size, self.done, self.logprobs, rate, m, self.problem, self.tokens)


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened to the answers of a collection, counted."""

    answers: int = 0
    right: int = 0
    rollouts: int = 0
    cut: int = 0
    unjudged: int = 0
    unparsable: int = 0
    unscored: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values(), strict=True)))


@dataclass(frozen=True, slots=True)
class Problem:
    """All measured paths of one finished problem."""

    id: str
    rows: tuple[Measured, ...]
    tally: Tally


def write_rows(file: File, rows: Sequence[Measured]) -> None:
    """Write rows as gzipped JSONL, whole or not at all; the same rows give the same bytes."""
    lines = [json.dumps(asdict(row), separators=(",", ":"), allow_nan=False) + "\n" for row in rows]
    replace_file(file, gzip.compress("".join(lines).encode(), mtime=0))
