"""The device and the one thread that owns it: everything that is queued meanwhile is computed together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from adaptive_middleware.errors import ScorerError
from adaptive_middleware.scoring.assembly import Parts, Settings, parts
from adaptive_middleware.scoring.cached import Cached
from adaptive_middleware.scoring.computed import Computed
from adaptive_middleware.scoring.heads import StepModel
from adaptive_middleware.scoring.rows import Row

__all__ = ["Computed", "Device", "Stats"]


@dataclass(frozen=True, slots=True)
class Stats:
    """What a device did since it was made: tokens computed and reused, packs; bytes held and rows queued now.

    `unpacked` says why its model is computed in padded batches from scratch, None when it is packed.
    """

    queued_rows: int
    computed_tokens: int
    reused_tokens: int
    packs: int
    kv_bytes: int
    evictions: int
    oom_retries: int
    unpacked: str | None


@dataclass(slots=True)
class _Job:
    rows: tuple[Row, ...]
    future: Future[Computed]


class _Queue:
    """Jobs in the order of their coming."""

    def __init__(self) -> None:
        self._jobs: deque[_Job] = deque()
        self._lock = threading.Lock()
        self.rows = 0

    def put(self, job: _Job) -> None:
        with self._lock:
            self._jobs.append(job)
            self.rows += len(job.rows)

    def take(self, tokens: int) -> list[_Job]:
        """All that is queued, but no more than begins within `tokens` tokens; none where an earlier turn took them."""
        with self._lock:
            taken: list[_Job] = []
            room = tokens
            while self._jobs and room > 0:
                taken.append(self._jobs.popleft())
                self.rows -= len(taken[-1].rows)
                room -= sum(len(row.ids) for row in taken[-1].rows)
            return taken


class Device:
    """Computes rows on one thread of its own; calls from any thread, at the same moment, are batched.

    Whatever is queued when the thread is free goes into the next forward, up to `pack_tokens` new tokens: there is
    no timer. Keys and values of prefixes are kept in `kv_bytes` bytes. `batch_invariant` gives every row a forward of
    its own, from scratch: its outputs are then the same bit for bit whatever else is asked. `compile` is "off", "default"
    or "reduce-overhead" (torch.compile of what lies between the attentions; the latter with CUDA graphs on a GPU).
    """

    def __init__(
        self,
        network: StepModel,
        *,
        kv_bytes: int = 1 << 30,
        pack_tokens: int = 8192,
        compile: str = "off",  # noqa: A002 - the name of the setting
        batch_invariant: bool = False,
    ) -> None:
        settings = Settings(kv_bytes, pack_tokens, compile, batch_invariant)
        self._parts = parts(network, settings)
        self._queue = _Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="adaptive-device")
        self._tokens = 4 * pack_tokens

    @property
    def unpacked(self) -> str | None:
        """Why rows are computed from scratch, in padded batches; None when they are packed."""
        return self._parts.unpacked

    @property
    def stats(self) -> Stats:
        """The counters, now."""
        return _stats(self._parts, self._queue.rows)

    def submit(self, rows: Sequence[Row]) -> Future[Computed]:
        """The outputs of `rows`, soon; a future that is cancelled before its turn costs nothing."""
        future: Future[Computed] = Future()
        if not rows:
            future.set_result(Computed((), ()))
            return future
        self._queue.put(_Job(tuple(rows), future))
        try:
            self._thread.submit(_turn, self._queue, self._parts.compute, self._tokens)
        except RuntimeError as error:
            message = "the device is closed: make a new one"
            raise ScorerError(message) from error
        return future

    def outputs(self, rows: Sequence[Row]) -> Computed:
        """The outputs of `rows`; blocks. Raises `ScorerError`, and what the model raises."""
        return self.submit(rows).result()

    def close(self) -> None:
        """Finish what is queued, take nothing more, and end the thread."""
        self._thread.shutdown()


def _turn(queue: _Queue, compute: Callable[[Sequence[Row]], Computed], tokens: int) -> None:
    """One turn of the thread. Every job brings one, so no job is left behind by those before it."""
    jobs = [job for job in queue.take(tokens) if job.future.set_running_or_notify_cancel()]
    if not jobs:
        return
    try:
        made = compute([row for job in jobs for row in job.rows])
    except BaseException as error:  # noqa: BLE001 - not swallowed: whoever asked gets it
        if len(jobs) == 1:
            jobs[0].future.set_exception(error)
        else:
            _one_by_one(jobs, compute)
        return
    at = 0
    for job in jobs:
        end = at + len(job.rows)
        job.future.set_result(Computed(made.outputs[at:end], made.tokens[at:end]))
        at = end


def _one_by_one(jobs: Sequence[_Job], compute: Callable[[Sequence[Row]], Computed]) -> None:
    """Each job alone, so that only the one that fails fails."""
    for job in jobs:
        try:
            job.future.set_result(compute(job.rows))
        except BaseException as error:  # noqa: BLE001 - as above
            job.future.set_exception(error)


def _stats(made: Parts, queued: int) -> Stats:
    match made.compute:
        case Cached(tree=tree, reused=reused, computed=computed, retries=retries):
            held = 0 if made.pool is None else tree.held * made.pool.token_bytes
            return Stats(queued, computed, reused, tree.clock, held, tree.evicted, retries, None)
    return Stats(queued, 0, 0, 0, 0, 0, 0, made.unpacked)
