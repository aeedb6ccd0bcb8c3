"""Decisions in shadow: made on a thread of their own, after the caller has its answer."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace

from adaptive_middleware.engine import run
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.ports import Ports
from adaptive_middleware.rules import Rule
from adaptive_middleware.strategies.shadow import shadowed
from adaptive_middleware.types import Outcome, Path, Request

LOG = logging.getLogger(__name__)
MOST = 1000


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
    What waits when the process ends is lost.
    """

    def __init__(
        self, ports: Ports, told: Callable[[Request, Outcome, float], object], most: int = MOST
    ) -> None:
        self._ports, self._told, self._most = ports, told, most
        self._waiting: queue.Queue[_Call] = queue.Queue(most)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
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
        with self._starting:
            if (
                self._thread is None or not self._thread.is_alive()
            ):  # a fork has the queue, but not the thread
                self._thread = threading.Thread(target=self._work, name="adaptive-shadow", daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Block until every call that was put is decided about, and told."""
        self._waiting.join()

    def _work(self) -> None:
        while True:
            call = self._waiting.get()
            try:
                call.context.run(self._decide, call)
            except Exception:
                LOG.exception("a decision in shadow failed; the call itself was answered")
                call.context.run(self._told, call.request, call.outcome, call.seconds)
            finally:
                self._waiting.task_done()

    def _decide(self, call: _Call) -> None:
        rule, request = call.rule, replace(call.request, deadline=None)
        decided = run(shadowed(rule.strategy, rule.tokens)(request, call.outcome.chosen), self._ports)
        decided = replace(decided, rule=rule.name)
        LOG.info("%s: %s", rule.name, decided.decisions[-1].because)
        self._told(request, decided, call.seconds)


class _NothingDrawn:
    """A sampler for flows that draw nothing."""

    def sample(self, request: Request, n: int) -> Sequence[Path]:
        """See `Sampler`; raises `SamplerError`."""
        message = f"a decision in shadow asked for {n} samples of {request.text!r}"
        raise SamplerError(message)


nothing_drawn = _NothingDrawn()


def unobserved(_request: Request, _outcome: Outcome, _seconds: float) -> None:
    """Tell nobody."""
