"""Observers told of finished calls, so that none of them can harm one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from adaptive_middleware.call_ids import call_id
from adaptive_middleware.ports import Observer
from adaptive_middleware.types import Outcome, Request

LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Observed:
    """The observers of a middleware, behind a guard: what one raises is logged once and never reaches a call."""

    observers: Sequence[Observer]
    _failed: set[int] = field(default_factory=set, repr=False)

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> Outcome:
        """The outcome with the id under which the observers got it, after all of them were told."""
        outcome = replace(outcome, id=call_id())
        for position, observer in enumerate(self.observers):
            try:
                observer.ended(request, outcome, seconds)
            except Exception as error:  # noqa: BLE001 - not our code, and a call matters more
                self._log(position, observer, error)
        return outcome

    def _log(self, position: int, observer: Observer, error: Exception) -> None:
        if position not in self._failed:
            self._failed.add(position)
            LOG.error("observer %r failed: calls go on, and this is said once", observer, exc_info=error)
