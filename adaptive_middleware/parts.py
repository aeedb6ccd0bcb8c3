"""What a middleware is made of at one moment: every call takes all of it once, a reload replaces all of it or nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from adaptive_middleware.observing import Observed
from adaptive_middleware.ports import (
    AsyncExtender,
    AsyncPorts,
    AsyncSampler,
    AsyncStreamer,
    Extender,
    Observer,
    Ports,
    Sampler,
    Streamer,
)
from adaptive_middleware.rules import Rule
from adaptive_middleware.types import Outcome, Request, Unanswered
from adaptive_middleware.worker import Worker

if TYPE_CHECKING:
    from adaptive_middleware.config import Plan
    from adaptive_middleware.shadowing import Shadowing


@dataclass(frozen=True, slots=True)
class Parts:
    """Rules in the order in which they are tried, the ports they share, and who is told.

    `plan` is the built configuration that they come from, None where there is none; `shadowing` decides about calls of
    rules in shadow, where there are any.
    """

    rules: tuple[Rule, ...]
    worker: Worker
    observed: Observed | None = None
    plan: Plan | None = None
    shadowing: Shadowing | None = None

    @classmethod
    def of(
        cls, rules: Sequence[Rule], worker: Worker, observers: Sequence[Observer], plan: Plan | None = None
    ) -> Parts:
        """The parts, with a guard before the observers."""
        made = cls(tuple(rules), worker, Observed(tuple(observers)) if observers else None, plan)
        return replace(made, shadowing=made._in_shadow()) if any(rule.shadow for rule in rules) else made

    def rule(self, request: Request) -> Rule:
        """The rule that applies to `request`."""
        return next(rule for rule in self.rules if rule.when(request))

    def ports(self, sampler: Sampler, streamer: Streamer | None, extender: Extender | None) -> Ports:
        """The synchronous world of one call."""
        return Ports(sampler, self._scorer, self._verifier, streamer, extender)

    def aports(
        self, sampler: AsyncSampler, streamer: AsyncStreamer | None, extender: AsyncExtender | None
    ) -> AsyncPorts:
        """The asynchronous world of one call."""
        return AsyncPorts(sampler, self._scorer, self._verifier, streamer, extender)

    def ended(self, request: Request, outcome: Outcome, rule: Rule, began: float) -> Outcome:
        """The outcome, named and told to the observers; `began` is a `time.monotonic()` instant."""
        outcome = outcome if rule.name == outcome.rule else replace(outcome, rule=rule.name)
        seconds = time.monotonic() - began
        if self.shadowing is not None and rule.shadow and not rule.passes_through:
            self.shadowing.put(rule, request, outcome, seconds)
            return outcome
        return outcome if self.observed is None else self.observed.ended(request, outcome, seconds)

    def unanswered(self, request: Request, call: Unanswered, began: float) -> None:
        """Tell the observers of a call that ended without an answer; `began` is a `time.monotonic()` instant."""
        if self.observed is not None:
            self.observed.unanswered(request, call, time.monotonic() - began)

    def around(self, request: Request) -> AbstractContextManager[None]:
        """The observers that are there while a call is answered."""
        return nullcontext() if self.observed is None else self.observed.around(request)

    def _in_shadow(self) -> Shadowing:
        from adaptive_middleware.shadowing import Shadowing, nothing_drawn, unobserved  # noqa: PLC0415 - slow to import

        told = unobserved if self.observed is None else self.observed.ended
        return Shadowing(self.ports(nothing_drawn, None, None), told)

    @property
    def _scorer(self) -> Worker | None:
        return None if self.worker.scorer is None else self.worker

    @property
    def _verifier(self) -> Worker | None:
        return None if self.worker.verifier is None else self.worker
