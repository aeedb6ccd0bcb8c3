"""Servers on the loopback interface, and an engine whose answers the test gives."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from adaptive_middleware.scoring.device import Computed, Stats
from adaptive_middleware.scoring.rows import Row
from tests.server.threaded import eventually, running

__all__ = ["Held", "eventually", "running"]


@dataclass(slots=True)
class Held:
    """An engine whose futures are answered by the test."""

    futures: list[Future[Computed]] = field(default_factory=list)
    rows: list[tuple[Row, ...]] = field(default_factory=list)
    closed: bool = False
    stats: Stats = field(default_factory=partial(Stats, 0, 0, 0, 0, 0, 0, 0, None))

    def submit(self, rows: Sequence[Row]) -> Future[Computed]:
        self.rows.append(tuple(rows))
        self.futures.append(Future())
        return self.futures[-1]

    def outputs(self, rows: Sequence[Row]) -> Computed:
        return self.submit(rows).result()

    def close(self) -> None:
        self.closed = True

    def answer(self, at: int, *logits: float) -> None:
        """The same logits at every position of the rows of the `at`-th job."""
        rows = self.rows[at]
        outputs = tuple(tuple(logits for _ in row.positions) for row in rows)
        self.futures[at].set_result(Computed(outputs, tuple(len(row.ids) for row in rows)))
