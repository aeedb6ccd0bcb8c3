"""A circuit breaker: a replica that keeps failing is left alone for a while, then tried once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Breaker:
    """Closed until `failures` in a row; then open for `seconds`; then one trial decides, half-open.

    A trial that never reports (its call was cancelled) is replaced by another after the same time. Safe to use
    from several threads; `clock` gives seconds and never goes back.

    >>> breaker = Breaker(failures=1, seconds=9.0, clock=lambda: 0.0)
    >>> breaker.admits(), breaker.failed(), breaker.admits()
    (True, None, False)
    """

    failures: int = 3
    seconds: float = 10.0
    clock: Callable[[], float] = time.monotonic
    _failed: int = field(default=0, init=False)
    _until: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def admits(self) -> bool:
        """Whether a request may be sent now; the one that is admitted while half-open is the trial."""
        with self._lock:
            if self._failed < self.failures:
                return True
            now = self.clock()
            if now < self._until:
                return False
            self._until = now + self.seconds
            return True

    def succeeded(self) -> None:
        """A request was answered: closed."""
        with self._lock:
            self._failed = 0

    def failed(self) -> None:
        """A request failed."""
        with self._lock:
            self._failed += 1
            self._until = self.clock() + self.seconds
