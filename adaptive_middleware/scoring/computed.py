"""What a forward yields for rows, and how rows are computed in padded batches, each from scratch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import torch

from adaptive_middleware.errors import ScorerError
from adaptive_middleware.scoring.rows import Row
from adaptive_middleware.scoring.tree import Output

Forward = Callable[[Sequence[Row]], Sequence[Sequence[float]]]
"""Rows in, the head's outputs at all their positions out, row after row."""


@dataclass(frozen=True, slots=True)
class Computed:
    """For each row the head's outputs at its positions, and how many tokens the model had to compute for it."""

    outputs: tuple[tuple[Output, ...], ...]
    tokens: tuple[int, ...]


class Engine(Protocol):
    """What computes rows: `device.Device`, or anything that stands for it."""

    def submit(self, rows: Sequence[Row]) -> Future[Computed]:
        """The outputs of `rows`, soon."""
        ...

    def outputs(self, rows: Sequence[Row]) -> Computed:
        """The outputs of `rows`; blocks."""
        ...


@dataclass(frozen=True, slots=True)
class FromScratch:
    """Rows ordered by length and padded into batches of at most `batch_tokens` tokens; nothing is kept.

    With `alone`, every row is a batch of its own: then its outputs do not depend on what else is asked.
    """

    forward: Forward
    batch_tokens: int
    alone: bool = False

    def __call__(self, rows: Sequence[Row]) -> Computed:
        """The outputs of all rows; raises `ScorerError` when memory does not suffice even for half a batch."""
        outputs: list[tuple[Output, ...]] = [()] * len(rows)
        lengths = [len(row.ids) for row in rows]
        for batch in batches(lengths, 0 if self.alone else self.batch_tokens):
            values = self._careful([rows[index] for index in batch])
            for index in batch:
                count = len(rows[index].positions)
                outputs[index], values = tuple(map(tuple, values[:count])), values[count:]
        return Computed(tuple(outputs), tuple(lengths))

    def _careful(self, rows: Sequence[Row]) -> Sequence[Sequence[float]]:
        """The outputs of one batch, by halves when the device ran out of memory."""
        try:
            return self._checked(rows)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
        half = len(rows) // 2
        try:
            return [output for part in (rows[:half], rows[half:]) if part for output in self._checked(part)]
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            tokens = max(len(row.ids) for row in rows)
            message = f"no memory to score {len(rows)} rows of up to {tokens} tokens by halves: lower batch_tokens or max_length"
            raise ScorerError(message) from error

    def _checked(self, rows: Sequence[Row]) -> Sequence[Sequence[float]]:
        outputs = self.forward(rows)
        expected = sum(len(row.positions) for row in rows)
        if len(outputs) != expected:
            message = (
                f"the model gave {len(outputs)} outputs for {expected} steps: please report this as a bug"
            )
            raise ScorerError(message)
        return outputs


def batches(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Indices grouped by falling length so that rows x longest <= `tokens`, one row at least.

    >>> batches([2, 9, 3, 8], 18)
    [[1, 3], [2, 0]]
    """
    found: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if found and (len(found[-1]) + 1) * lengths[found[-1][0]] <= tokens:
            found[-1].append(index)
        else:
            found.append([index])
    return found
