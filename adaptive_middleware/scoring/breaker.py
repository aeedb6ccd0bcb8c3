"""A circuit breaker: what keeps failing is left alone for a while, then tried once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Breaker:
    """Closed until `failures` in a row; then open for `seconds`; then one trial decides, half-open.

    A trial that never reports (its call was cancelled) is replaced by another after the same time. Safe to use
    from several threads; `clock` gives seconds and never goes back.

    >>> breaker = Breaker(failures=1, seconds=9.0, clock=lambda: 0.0)
    >>> breaker.admits(), breaker.failed(), breaker.admits(), breaker.state
    (True, None, False, 'open')
    """

    failures: int = 3
    seconds: float = 10.0
    clock: Callable[[], float] = time.monotonic
    _failed: int = field(default=0, init=False)
    _until: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """What the next request meets: half-open once the time is over and a trial decides."""
        with self._lock:
            if self._failed < self.failures:
                return "closed"
            return "open" if self.clock() < self._until else "half-open"

    @property
    def trial_in(self) -> float:
        """Seconds until the next trial; 0 when it is closed or the trial is due."""
        with self._lock:
            return 0.0 if self._failed < self.failures else max(self._until - self.clock(), 0.0)

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
