"""The deadline of a call: one instant of the monotonic clock, and what each part of the call may take of the time until then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

MARGIN = 0.05
"""Seconds before a deadline at which waiting for samples ends and none is begun, so that finished ones are still returned."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant of `clock` in seconds, as in `Request.deadline`; None where there is none. Wall clocks may jump; this one does not.

    >>> call = Deadline(10.0, clock=lambda: 4.0)
    >>> call.left(), call.within(60.0), call.share(0.5).at, call.allows(6.0)
    (6.0, 6.0, 7.0, False)
    >>> Deadline(None).left(), Deadline(None).seconds()
    (inf, None)
    """

    at: float | None
    clock: Callable[[], float] = field(default=time.monotonic, compare=False, repr=False)

    def left(self) -> float:
        """Seconds until then, >= 0; infinite without a deadline."""
        return float("inf") if self.at is None else max(self.at - self.clock(), 0.0)

    def seconds(self, margin: float = 0.0) -> float | None:
        """As `left`, less `margin`, in the form that waits take: None without a deadline."""
        return None if self.at is None else max(self.left() - margin, 0.0)

    def within(self, seconds: float) -> float:
        """As many of `seconds` as are left."""
        return min(seconds, self.left())

    def allows(self, wait: float) -> bool:
        """Whether there is time left after a wait of so many seconds."""
        return wait < self.left()

    def share(self, part: float) -> Deadline:
        """The deadline of somebody who may take `part` (0 to 1) of the time that is left."""
        return self if self.at is None else Deadline(self.clock() + part * self.left(), self.clock)

    def sooner(self, seconds: float | None) -> Deadline:
        """This deadline, or that of `seconds` from now where it comes first."""
        if seconds is None:
            return self
        return Deadline(self.clock() + self.within(seconds), self.clock)
