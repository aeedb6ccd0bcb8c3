"""What stands between calls and a process reward model: a circuit breaker, and the share of a call's time that scoring may take."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from adaptive_middleware.deadline import Deadline
from adaptive_middleware.errors import NotAnswerable, ScorerError, ScorerTimeout, Unscorable
from adaptive_middleware.scoring.breaker import Breaker
from adaptive_middleware.types import Request

LOG = logging.getLogger(__name__)
_TELLING = 0.2
LEFT_ALONE = "left alone after"
"""What every error says that an open breaker made; whoever reads traces looks for it."""


@dataclass(slots=True)
class Shield:
    """Around every score of one scorer: it is left alone while `breaker` is open, and may take `share` of what is left.

    A time-out that only a short deadline made (less than 0.2 s for scoring) says nothing of the scorer; nor does an answer
    that cannot be scored (`Unscorable`, `NotAnswerable`).
    """

    breaker: Breaker = field(default_factory=partial(Breaker, failures=5))
    share: float = 0.5
    _last: str = field(default="", init=False)

    @contextmanager
    def asking(self, request: Request) -> Iterator[Request]:
        """Around one score: the request with the deadline of scoring. Raises `ScorerError` while the breaker is open.

        A `TimeoutError` or `ScorerError` at that deadline becomes `ScorerTimeout`.
        """
        if not self.breaker.admits():
            message = f"{LEFT_ALONE} {self.breaker.failures} failures in a row (the last: {self._last}); tried again in {self.breaker.trial_in:.0f} s"
            raise ScorerError(message)
        ends = Deadline(request.deadline).share(self.share)
        given = ends.left()
        try:
            yield replace(request, deadline=ends.at)
        except (Unscorable, NotAnswerable):
            self.breaker.succeeded()
            raise
        except Exception as error:
            late = isinstance(error, (TimeoutError, ScorerError)) and ends.left() == 0
            raised = (
                ScorerTimeout(f"no score within {given:.2f} s: {str(error) or 'it hangs'}") if late else error
            )
            if not late or given >= _TELLING:
                self._failed(raised)
            raise raised from error
        self._succeeded()

    def _succeeded(self) -> None:
        if self.breaker.state != "closed":
            LOG.warning("the process reward model answers again")
        self._last = ""
        self.breaker.succeeded()

    def _failed(self, error: Exception) -> None:
        closed = self.breaker.state == "closed"
        self._last = f"{type(error).__name__}: {error}"
        self.breaker.failed()
        if closed and self.breaker.state != "closed":
            told = "the process reward model failed %d times in a row (%s): calls go on without it, and it is tried again every %g s"
            LOG.warning(told, self.breaker.failures, self._last, self.breaker.seconds)
