"""A budget of retries: one request may be repeated, but a fleet of them does not multiply what an endpoint in trouble is asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class RetryBudget:
    """At most `most` retries in hand; each takes one, and each answered request gives `share` of one back.

    While nothing is answered, 100 requests so become at most 110. The rule is that of gRPC's retry throttling (gRFC A6),
    with a share of 10 %. Safe to use from several threads; a copy begins anew.

    >>> budget = RetryBudget(most=1.0)
    >>> budget.take(), budget.take(), budget.answered(), budget.take()
    (True, False, None, False)
    """

    most: float = 10.0
    share: float = 0.1
    _left: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        self._left = self.most

    def __reduce__(self) -> tuple[type[RetryBudget], tuple[float, float]]:
        return RetryBudget, (self.most, self.share)

    def take(self) -> bool:
        """Whether one more retry may be made."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True

    def answered(self) -> None:
        """A request was answered."""
        with self._lock:
            self._left = min(self._left + self.share, self.most)
