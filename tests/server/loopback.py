"""Servers on the loopback interface, each in a thread of its own, with the real limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.types import ASGIApp

from adaptive_middleware.scoring.device import Computed, Stats
from adaptive_middleware.scoring.rows import Row
from adaptive_middleware.server.serving import configured, listening


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """The address of a server that has stopped when the block is left."""
    listener = listening("127.0.0.1", 0, keyed=False)
    server = configured(app, 1)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


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


def eventually(true: Any) -> None:
    """Wait until `true()`; the test's own timeout is the limit."""
    while not true():
        time.sleep(0.005)
