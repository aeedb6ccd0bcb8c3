"""Examples as rows of token ids: paths that begin another path of the same problem share its row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from adaptive_middleware.calibration.features import FINISHED
from adaptive_middleware.finetuning.labelled import Labelled
from adaptive_middleware.scoring.quantiles import described
from adaptive_middleware.scoring.rows import Layout, Row, render


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One sequence, and at each of its positions: features, k right of m, and whether the answer is finished."""

    row: Row
    numbers: tuple[int, ...]
    features: tuple[tuple[float, ...], ...]
    right: tuple[int, ...]
    trials: tuple[int, ...]
    finished: tuple[bool, ...]


def training_rows(
    labelled: Sequence[Labelled], layout: Layout, window: int, *, share: bool
) -> list[TrainingRow]:
    """Rows for all examples; `numbers` tells which example each position is. With `share`, prefixes ride along.

    A causal model's output at a step does not depend on what follows, so a shared row gives the same outputs.
    A row that had to be cut to fit the window is not shared.
    """
    found = []
    for members in _shared(labelled) if share else [[i] for i in range(len(labelled))]:
        together = _rendered(labelled, members, layout, window)
        parts = [together] if together else [_rendered(labelled, [i], layout, window) for i in members]
        found += [part for part in parts if part]
    return found


def batches(rows: Sequence[TrainingRow], size: int, seed: int) -> list[list[TrainingRow]]:
    """Rows shuffled by `seed` and dealt into batches of about `size` examples, a row never cut."""
    shuffled = list(rows)
    Random(seed).shuffle(shuffled)  # noqa: S311 - an order of data, not a secret
    dealt: list[list[TrainingRow]] = [[]]
    for row in shuffled:
        if sum(len(one.right) for one in dealt[-1]) >= size:
            dealt.append([])
        dealt[-1].append(row)
    return dealt


def micro_batches(rows: Sequence[TrainingRow], tokens: int) -> list[list[TrainingRow]]:
    """Rows by falling length, in groups of at most `tokens` padded tokens, one row at least."""
    groups: list[list[TrainingRow]] = []
    for row in sorted(rows, key=lambda one: -len(one.row.ids)):
        if groups and (len(groups[-1]) + 1) * len(groups[-1][0].row.ids) <= tokens:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _rendered(
    labelled: Sequence[Labelled], members: Sequence[int], layout: Layout, window: int
) -> TrainingRow | None:
    """The row of the first member, read at the end of each; None when it had to be cut and has others to carry."""
    host = labelled[members[0]]
    rows, first = render(layout, host.question, host.steps, window)
    if first and len(members) > 1:
        return None
    ends = [max(len(labelled[i].steps), 1) - first - 1 for i in members]
    examples = [labelled[i].example for i in members]
    return TrainingRow(
        Row(rows[-1].ids, tuple(rows[-1].positions[end] for end in ends)),
        tuple(members),
        tuple(described(e.kind, e.steps, e.logprobs) for e in examples),
        tuple(e.right for e in examples),
        tuple(e.trials for e in examples),
        tuple(e.kind == FINISHED for e in examples),
    )


def _shared(labelled: Sequence[Labelled]) -> list[list[int]]:
    """Indices grouped so that the first of a group is a path that all others of it begin, longest paths first."""
    by_question: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for i, one in enumerate(labelled):
        by_question[one.example.group, one.question].append(i)
    groups: list[list[int]] = []
    for members in by_question.values():
        hosts: dict[tuple[str, ...], list[int]] = {}
        for i in sorted(members, key=lambda i: -len(labelled[i].steps)):
            steps = labelled[i].steps
            host = hosts.get(steps) if steps else None
            if host is None:
                host = [i]
                groups.append(host)
            else:
                host.append(i)
            hosts |= {steps[:end]: host for end in range(1, len(steps) + 1)} | hosts
    return groups
