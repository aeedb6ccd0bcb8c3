"""Sandboxes that are started before they are needed, so that an answer is checked without waiting for a start."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.sandbox.limits import Ended, Limits, Sandbox, Session


class warm:  # noqa: N801 - tiers read as words
    """The `Sandbox` port over `inner`: at most `size` sandboxes with `limits` wait, each is used once and then replaced.

    All of them wait from the beginning, or, not `at_once`, as many as were used side by side. One thread starts them, each
    when another has ended: a start would slow down what runs. It also starts those for other limits, and for who comes when
    none waits. A second thread ends the used ones, at once and in their order: who has a verdict does not wait for that.
    Use it as a context, or `close` it: what waits is a process. Who asks it then is served by `inner`, in its own thread.
    """

    def __init__(self, inner: Sandbox, limits: Limits, size: int = 4, *, at_once: bool = True) -> None:
        self._inner, self._limits, self._size = inner, limits, size
        self._waiting, self._closed = deque[Session](), False
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="adaptive-sandbox-start")
        self._ender = ThreadPoolExecutor(1, thread_name_prefix="adaptive-sandbox-end")
        started = [self._starter.submit(self._start) for _ in range(size if at_once else 0)]
        for one in started:
            one.result()

    @property
    def name(self) -> str:
        """The tier of `inner`."""
        return self._inner.name

    def open(self, limits: Limits) -> Session:
        """See `Sandbox`. Whoever starts it, it does not end with the thread that asked for it."""
        while limits == self._limits and self._waiting:
            with suppress(IndexError):  # another thread was faster
                lent = Lent(self._waiting.popleft(), self._used)
                if lent.alive():
                    return lent
                lent.close()
        try:
            started = self._starter.submit(self._inner.open, limits)
        except RuntimeError:  # closed meanwhile
            return self._inner.open(limits)
        try:
            return Lent(started.result(), self._used)
        except CancelledError:
            return self._inner.open(limits)

    def close(self, *, wait: bool = True) -> None:
        """End what waits; what was used has ended by then too, or, without `wait`, is about to."""
        self._closed = True
        self._ender.shutdown(wait)
        self._starter.shutdown(wait, cancel_futures=True)
        self._drain()

    def _drain(self) -> None:
        while self._waiting:
            with suppress(IndexError):  # the starter was faster
                self._waiting.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _used(self, session: Session) -> None:
        if not self._closed:
            with suppress(RuntimeError):  # closed meanwhile
                self._ender.submit(self._replace, session)
                return
        session.close()

    def _replace(self, session: Session) -> None:
        session.close()
        with suppress(RuntimeError):  # closed meanwhile
            self._starter.submit(self._start)

    def _start(self) -> None:
        """One more that waits; where it cannot be started, `open` says so."""
        if len(self._waiting) < self._size:
            with suppress(SandboxError):
                self._waiting.append(self._inner.open(self._limits))
        if self._closed:
            self._drain()


@dataclass(slots=True)
class Lent:
    """A `Session` that is handed on, once, when it is closed."""

    session: Session
    closed: Callable[[Session], None]

    def send(self, request: bytes) -> None:
        """See `Session`."""
        self.session.send(request)

    def receive(self, seconds: float) -> bytes | Ended:
        """See `Session`."""
        return self.session.receive(seconds)

    def ask(self, request: bytes, seconds: float) -> bytes | Ended:
        """See `Session`."""
        return self.session.ask(request, seconds)

    def finish(self, request: bytes, seconds: float) -> Ended:
        """See `Session`."""
        return self.session.finish(request, seconds)

    def alive(self) -> bool:
        """See `Session`; not once it was handed on, though it may not have ended yet."""
        return self.closed is not _nothing and self.session.alive()

    def close(self) -> None:
        """See `Session`."""
        closed, self.closed = self.closed, _nothing
        closed(self.session)


def _nothing(_: Session) -> None:
    pass
