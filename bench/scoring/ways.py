"""The ways to score a workload: transformers as most use it, and our engine without and with what it keeps.

A way runs in stages. The code of a way between two stages, which opens and closes devices, is not timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Protocol

from adaptive_middleware.scoring.device import Computed
from adaptive_middleware.scoring.heads import StepModel
from adaptive_middleware.scoring.rows import Row
from bench.scoring.costs import Work
from bench.scoring.workload import Workload

Logits = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Scored:
    """Logits of all scored positions, row after row; tokens that the engine says it computed, if it was one."""

    logits: Logits
    tokens: int | None = None


class Computing(Protocol):
    """What is asked of a device of our engine: the outputs of rows, with the tokens that they took, and an end."""

    def outputs(self, rows: Sequence[Row], /) -> Computed:
        """The head's logits of every row at its positions."""

    def close(self) -> None:
        """Give back what it holds."""


Stage = Callable[[], Scored]
Engine = Callable[[], Computing]
"""Opens a device that has computed nothing yet."""


@dataclass(frozen=True, slots=True)
class Models:
    """The same weights twice: as transformers runs them, and behind our engine."""

    network: StepModel
    engine: Engine


@dataclass(frozen=True, slots=True)
class Way:
    """A named way to score a workload, with the work of each stage as it is done, and as the best way would.

    `rows` are what the last stage scores. `kept` are the tokens whose keys and values stay afterwards.
    """

    name: str
    stages: Callable[[], Iterator[Stage]]
    rows: Sequence[Row]
    own: tuple[Work, ...]
    useful: tuple[Work, ...]
    kept: int = 0


def one_by_one(models: Models, load: Workload) -> Way:
    """Every row in a forward of its own, as in most examples."""
    rows = load.rows(load.steps)

    def stages() -> Iterator[Stage]:
        yield lambda: Scored([logits for row in rows for logits in models.network([row])])

    return Way("one by one", stages, rows, (load.alone(load.steps),), (load.shared(load.steps),))


def padded(models: Models, load: Workload) -> Way:
    """All rows in one batch, padded to the longest."""
    rows = load.rows(load.steps)

    def stages() -> Iterator[Stage]:
        yield lambda: Scored(models.network(rows))

    return Way("padded batch", stages, rows, (load.padded(load.steps),), (load.shared(load.steps),))


def packed(models: Models, load: Workload) -> Way:
    """Our engine, prompts that differ: nothing shared, nothing padded."""
    rows, steps = load.apart.rows(load.steps), load.steps
    work = load.alone(steps)
    useful = (load.shared(steps),)
    return Way("packed", partial(_fresh, models.engine, [rows]), rows, (work,), useful, work.tokens)


def shared(models: Models, load: Workload) -> Way:
    """Our engine, the prompt computed once."""
    rows, work = load.rows(load.steps), load.shared(load.steps)
    return Way("shared prompt", partial(_fresh, models.engine, [rows]), rows, (work,), (work,), work.tokens)


def rescoring(models: Models, load: Workload) -> Way:
    """After each step everything again, as a padded batch."""
    batches = [load.rows(step) for step in range(1, load.steps + 1)]

    def stages() -> Iterator[Stage]:
        for rows in batches:
            yield lambda rows=rows: Scored(models.network(rows))  # type: ignore[misc]

    own = tuple(load.padded(step) for step in range(1, load.steps + 1))
    return Way("rescoring, padded", stages, batches[-1], own, _useful(load))


def rescoring_shared(models: Models, load: Workload) -> Way:
    """After each step everything again, the prompt computed once each time."""
    batches = [load.rows(step) for step in range(1, load.steps + 1)]
    own = tuple(load.shared(step) for step in range(1, load.steps + 1))
    stages = partial(_fresh, models.engine, batches)
    return Way("rescoring, shared prompt", stages, batches[-1], own, _useful(load))


def incremental(models: Models, load: Workload) -> Way:
    """After each step that step alone: what was before it is kept."""
    batches = [load.rows(step) for step in range(1, load.steps + 1)]

    def stages() -> Iterator[Stage]:
        with closing(models.engine()) as device:
            for rows in batches:
                yield partial(_computed, device, rows)

    useful = _useful(load)
    return Way("incremental", stages, batches[-1], useful, useful, sum(work.tokens for work in useful))


WAYS: Mapping[str, Callable[[Models, Workload], Way]] = MappingProxyType(
    {
        "one by one": one_by_one,
        "padded batch": padded,
        "packed": packed,
        "shared prompt": shared,
        "rescoring, padded": rescoring,
        "rescoring, shared prompt": rescoring_shared,
        "incremental": incremental,
    }
)


def _useful(load: Workload) -> tuple[Work, ...]:
    return tuple(load.added(step) for step in range(1, load.steps + 1))


def _fresh(engine: Engine, batches: Sequence[Sequence[Row]]) -> Iterator[Stage]:
    for rows in batches:
        with closing(engine()) as device:
            yield partial(_computed, device, rows)


def _computed(device: Computing, rows: Sequence[Row]) -> Scored:
    computed = device.outputs(rows)
    return Scored([logits for row in computed.outputs for logits in row], sum(computed.tokens))
