"""Decisions in shadow: made on a thread of their own, after the caller has its answer."""

from __future__ import annotations

import logging
import os
import queue
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from functools import partial

from adaptive_middleware.engine import run
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.ports import Ports
from adaptive_middleware.rules import Rule
from adaptive_middleware.strategies.shadow import shadowed
from adaptive_middleware.types import Outcome, Path, Request

LOG = logging.getLogger(__name__)
MOST = 1000
LAST_SECONDS = 5.0
"""How long the end of the process waits for decisions."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A plain call that was answered, and is to be decided about; in the context that it was made in."""

    rule: Rule
    request: Request
    outcome: Outcome
    seconds: float
    context: Context = field(default_factory=copy_context)


class Shadowing:
    """Decides about finished plain calls what their rule's strategy would have drawn, and tells the observers of it.

    `put` never waits: beyond `most` waiting calls the newest is told as the plain call it was, and this is said once.
    At the end of the process it goes on for `LAST_SECONDS`; what is undecided then is told as the plain call it was, too.
    """

    def __init__(
        self, ports: Ports, told: Callable[[Request, Outcome, float], object], most: int = MOST
    ) -> None:
        self._ports, self._told, self._most = ports, told, most
        self._waiting: queue.Queue[_Call] = queue.Queue(most)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._deciding: _Call | None = None
        self._process = 0
        self._full = False

    def __reduce__(self) -> tuple[type[Shadowing], tuple[Ports, Callable[..., object], int]]:
        return Shadowing, (self._ports, self._told, self._most)

    def put(self, rule: Rule, request: Request, outcome: Outcome, seconds: float) -> None:
        """Have the call decided about soon."""
        try:
            self._waiting.put_nowait(_Call(rule, request, outcome, seconds))
        except queue.Full:
            if not self._full:
                self._full = True
                LOG.warning("more than %d calls wait to be decided about in shadow: some are not", self._most)
            self._told(request, outcome, seconds)
            return
        if not self._begin():
            self.end(0.0)

    def wait(self) -> None:
        """Block until every call that was put is decided about, and told."""
        self._waiting.join()

    def end(self, seconds: float) -> None:
        """Wait for decisions for `seconds` at most; calls that are undecided then are told as the plain calls they were."""
        with self._waiting.all_tasks_done:
            if self._waiting.all_tasks_done.wait_for(lambda: not self._waiting.unfinished_tasks, seconds):
                return
        with self._lock:
            left, self._deciding = [self._deciding] if self._deciding else [], None
        while not self._waiting.empty():
            with suppress(queue.Empty):
                left.append(self._waiting.get_nowait())
                self._waiting.task_done()
        if left:
            LOG.warning("%d calls are not decided about in shadow: the process ends", len(left))
        for call in left:
            call.context.copy().run(self._told, call.request, call.outcome, call.seconds)

    def _begin(self) -> bool:
        """Have the thread run, and the end of the process wait for it; False where the process ends already."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return True
            self._thread = threading.Thread(target=self._work, name="adaptive-shadow", daemon=True)
            try:
                self._thread.start()
                if self._process != os.getpid():  # a fork has the queue, but not the thread
                    self._process = os.getpid()
                    _before_the_end(partial(_left, weakref.ref(self), self._process))
            except RuntimeError:
                return False
        return True

    def _work(self) -> None:
        while True:
            call = self._waiting.get()
            with self._lock:
                self._deciding = call
            try:
                call.context.run(self._decide, call)
            except Exception:
                LOG.exception("a decision in shadow failed; the call itself was answered")
                call.context.run(self._tell, call, call.request, call.outcome)
            finally:
                self._waiting.task_done()

    def _decide(self, call: _Call) -> None:
        rule, request = call.rule, replace(call.request, deadline=None)
        decided = run(shadowed(rule.strategy, rule.tokens)(request, call.outcome.chosen), self._ports)
        decided = replace(decided, rule=rule.name)
        LOG.info("%s: %s", rule.name, decided.decisions[-1].because)
        self._tell(call, request, decided)

    def _tell(self, call: _Call, request: Request, outcome: Outcome) -> None:
        """Tell the observers; unless the end of the process did."""
        with self._lock:
            mine, self._deciding = self._deciding is call, None
        if mine:
            self._told(request, outcome, call.seconds)


def _before_the_end(leave: Callable[[], None]) -> None:
    """Have `leave` called at the end of the process while scores can still be had, which is earlier than `atexit` does it."""
    import concurrent.futures.thread  # noqa: F401, PLC0415 - it ends its threads then, too: in the opposite order

    # The only way to be called before that is the one that it uses itself.
    threading._register_atexit(leave)  # type: ignore[attr-defined]  # noqa: SLF001 - as above


def _left(waiting: weakref.ref[Shadowing], process: int) -> None:
    shadowing = waiting()
    if shadowing is not None and process == os.getpid():
        shadowing.end(LAST_SECONDS)


class _NothingDrawn:
    """A sampler for flows that draw nothing."""

    def sample(self, request: Request, n: int) -> Sequence[Path]:
        """See `Sampler`; raises `SamplerError`."""
        message = f"a decision in shadow asked for {n} samples of {request.text!r}"
        raise SamplerError(message)


nothing_drawn = _NothingDrawn()


def unobserved(_request: Request, _outcome: Outcome, _seconds: float) -> None:
    """Tell nobody."""
