"""Clients that each ask for one more step at the same moment: the engine's own batching, a lock, and a timer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from adaptive_middleware.scoring.rows import Row
from bench.scoring.costs import floor_ms
from bench.scoring.measure import Scale
from bench.scoring.ways import Computing, Engine
from bench.scoring.workload import Setting, Workload, workload

Ask = Callable[[Row], object]
"""Scores one client's row, and returns when it is scored."""
_WAIT_S = 0.005


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many clients, each of which adds `rounds` steps of `step` tokens to an answer behind a common prompt."""

    clients: int
    prompt: int
    step: int
    rounds: int

    @property
    def load(self) -> Workload:
        """Their rows; the first step is there before they begin."""
        steps = self.rounds + 1
        return workload(Setting(self.clients, self.prompt, self.step * steps, steps))


@dataclass(frozen=True, slots=True)
class Served:
    """A crowd served one way: rates, waiting times, and the least possible time of a round over the measured one."""

    way: str
    clients: int
    steps_per_s: float
    tokens_per_s: float
    p50_ms: float
    p99_ms: float
    roofline: float


class Locked:
    """A lock around the model: one client after the other."""

    def __init__(self, device: Computing) -> None:
        self._device, self._lock = device, threading.Lock()

    def __call__(self, row: Row) -> object:
        """Score one row."""
        with self._lock:
            return self._device.outputs([row])


@dataclass(slots=True)
class Batch:
    """Rows that are scored together, and whether they have been."""

    rows: list[Row] = field(default_factory=list)
    scored: threading.Event = field(default_factory=threading.Event)


class Timer:
    """Batches by the clock: each is scored 5 ms after its first row came."""

    def __init__(self, device: Computing, pause: Callable[[float], object] = time.sleep) -> None:
        self._device, self._lock, self._open = device, threading.Lock(), Batch()
        self._pause = pause

    def __call__(self, row: Row) -> object:
        """Score one row, with those that come meanwhile."""
        with self._lock:
            batch = self._open
            batch.rows.append(row)
            first = len(batch.rows) == 1
        if first:
            self._lead(batch)
        return batch.scored.wait()

    def _lead(self, batch: Batch) -> None:
        self._pause(_WAIT_S)
        with self._lock:
            self._open = Batch()
        try:
            self._device.outputs(batch.rows)
        finally:
            batch.scored.set()


def queued(device: Computing) -> Ask:
    """The engine's own: it takes all that is queued when it is free, without a timer."""
    return lambda row: device.outputs([row])


WAYS: tuple[tuple[str, Callable[[Computing], Ask]], ...] = (
    ("engine", queued),
    ("5 ms timer", Timer),
    ("lock", Locked),
)


def serve(crowd: Crowd, engine: Engine, scale: Scale) -> list[Served]:
    """The crowd served every way, round by round in turn; each way has a device of its own.

    Wall times: waiting is what is measured. The first round warms up, and is left out.
    """
    load = crowd.load
    with ExitStack() as stack:
        devices = [stack.enter_context(closing(engine())) for _ in WAYS]
        for device in devices:
            device.outputs(load.rows(1))
        pool = stack.enter_context(ThreadPoolExecutor(crowd.clients))
        asks = [make(device) for (_, make), device in zip(WAYS, devices, strict=True)]
        rounds = [[_round(pool, ask, load.rows(step)) for ask in asks] for step in range(2, load.steps + 1)]
    return [
        _served(name, crowd, [one[way] for one in rounds[1:]], scale) for way, (name, _) in enumerate(WAYS)
    ]


def _round(pool: ThreadPoolExecutor, ask: Ask, rows: Sequence[Row]) -> tuple[float, list[float]]:
    """Seconds until all have been served, and those that each client waited."""
    ready = threading.Barrier(len(rows) + 1)

    def client(row: Row) -> float:
        ready.wait()
        started = time.perf_counter()
        ask(row)
        return time.perf_counter() - started

    futures = [pool.submit(client, row) for row in rows]
    ready.wait()
    started = time.perf_counter()
    waited = [future.result() for future in futures]
    return time.perf_counter() - started, waited


def _served(name: str, crowd: Crowd, rounds: Sequence[tuple[float, Sequence[float]]], scale: Scale) -> Served:
    seconds = sum(wall for wall, _ in rounds)
    waited = sorted(wait for _, waits in rounds for wait in waits)
    steps = crowd.clients * len(rounds)
    load = crowd.load
    added = [load.added(step) for step in range(3, load.steps + 1)]
    floor = sum(floor_ms(scale.shape, work, scale.peak, scale.dtype.itemsize) for work in added)
    return Served(
        way=name,
        clients=crowd.clients,
        steps_per_s=steps / seconds,
        tokens_per_s=steps * crowd.step / seconds,
        p50_ms=1000 * rank(waited, 0.5),
        p99_ms=1000 * rank(waited, 0.99),
        roofline=floor / (1000 * seconds),
    )


def rank(ascending: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed.

    >>> rank([1, 2, 3, 4], 0.5), rank([1, 2, 3, 4], 0.99)
    (2, 4)
    """
    return next(value for i, value in enumerate(ascending, 1) if i >= share * len(ascending))
