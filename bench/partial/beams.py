"""Beam search with the lab's policy, live: every held-out problem at once, steps drawn and scored in batches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adaptive_middleware.effects import Effect, Extend, Score
from adaptive_middleware.lab.problems import Problem, is_correct
from adaptive_middleware.scoring.computed import Engine
from adaptive_middleware.scoring.families import Family
from adaptive_middleware.scoring.rows import render
from adaptive_middleware.strategies.beam import beam
from adaptive_middleware.types import Path, Request, StepScores, Usage
from bench.allocation.curve import Floats
from bench.lab import text
from bench.lab.sampler import Continuation, Sampler
from bench.partial.counting import CountingScorer, Lengths
from bench.partial.lockstep import Together, lockstep

_WINDOW = 4096


@dataclass(slots=True)
class Clock:
    """Processor seconds spent in drawing and in scoring."""

    drawing: float = 0.0
    scoring: float = 0.0

    @contextmanager
    def running(self, what: str) -> Iterator[None]:
        """Count the block as `drawing` or `scoring`."""
        start = time.process_time()
        yield
        spent = time.process_time() - start
        if what == "drawing":
            self.drawing += spent
        else:
            self.scoring += spent


@dataclass(frozen=True, slots=True)
class Live:
    """What live runs need: problems, a sampler that stops at every newline, and the process reward model."""

    problems: Sequence[Problem]
    sampler: Sampler
    family: Family
    engine: Engine
    clock: Clock = field(default_factory=Clock)


def newline() -> int:
    """The token that ends a step of the lab's answers."""
    return text.plain("\n")[0]


def figures(live: Live, strategy: beam) -> Floats:
    """(problems, figures) of one live run, in the order of `replayed.FIGURES`."""
    requests = [Request(problem.question) for problem in live.problems]
    lengths = Lengths(live.family.layout)
    counters = [CountingScorer(lengths, lambda _: StepScores()) for _ in requests]
    together: dict[type[Effect[Any]], Together] = {
        Extend: lambda asked: _extended(live, asked),
        Score: lambda asked: _scored(live, counters, asked),
    }
    outcomes = lockstep([strategy(request) for request in requests], together)
    return np.asarray(
        [
            (
                float(is_correct(problem, outcome.chosen.text)),
                outcome.usage.completion_tokens,
                outcome.usage.prm_tokens,
                counter.rescored,
            )
            for problem, outcome, counter in zip(live.problems, outcomes, counters, strict=True)
        ],
        dtype=np.float64,
    )


def _extended(live: Live, asked: Sequence[tuple[int, Extend]]) -> list[list[Path]]:
    """One step more of every path of every flow, `fanout` ways."""
    parents = [(path, effect.fanout, effect.request) for _, effect in asked for path in effect.paths]
    prefixes = [[*text.prompt(request.text), *_ids(path)] for path, _, request in parents]
    drawn: list[list[Continuation]] = [[] for _ in parents]
    with live.clock.running("drawing"):
        for fanout in sorted({fanout for _, fanout, _ in parents}):
            chosen = [index for index, (_, ways, _) in enumerate(parents) if ways == fanout]
            found = live.sampler.draw([prefixes[index] for index in chosen], fanout)
            for index, group in zip(chosen, found, strict=True):
                drawn[index] = group
    grown = iter(
        [[_longer(path, one) for one in group] for (path, _, _), group in zip(parents, drawn, strict=True)]
    )
    return [[path for _ in effect.paths for path in next(grown)] for _, effect in asked]


def _ids(path: Path) -> list[int]:
    return list(path.raw) if isinstance(path.raw, tuple) else []


def _longer(path: Path, drawn: Continuation) -> Path:
    ends = drawn.tokens[-1] == text.tokenizer().eos_token_id
    going = drawn.tokens[-1] == newline()
    return Path(
        (*path.steps, text.written(drawn.tokens)),
        done=ends,
        finish_reason="stop" if ends else None if going else "length",
        logprobs=(*(path.logprobs or ()), *drawn.logprobs),
        usage=Usage(completion_tokens=len(drawn.tokens)),
        raw=(*_ids(path), *drawn.tokens),
    )


def _scored(
    live: Live, counters: Sequence[CountingScorer], asked: Sequence[tuple[int, Score]]
) -> list[list[StepScores]]:
    """The scores of every path of every flow, in one call of the engine."""
    layout, decode = live.family.layout, live.family.decode
    with live.clock.running("scoring"):
        rows = [
            render(layout, effect.request.text, path.steps, _WINDOW)[0][0]
            for _, effect in asked
            for path in effect.paths
        ]
        outputs = iter(live.engine.outputs(rows).outputs)
    found = []
    for index, effect in asked:
        counted = counters[index].score(effect.request, effect.paths)
        found.append([StepScores(tuple(map(decode, next(outputs))), tokens=one.tokens) for one in counted])
    return found
