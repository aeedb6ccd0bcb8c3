"""The composition root of a call: choose the rule, build the guarded flow, drive it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, closing, nullcontext
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Self

from adaptive_middleware.effects import Flow, Strategy
from adaptive_middleware.engine import arun, run
from adaptive_middleware.live import astream, stream
from adaptive_middleware.observing import Observed
from adaptive_middleware.open_answers import aowned, owned
from adaptive_middleware.ports import (
    AsyncExtender,
    AsyncPorts,
    AsyncSampler,
    AsyncStreamer,
    Extender,
    Observer,
    Ports,
    Sampler,
    Scorer,
    Streamer,
    Verifier,
)
from adaptive_middleware.rules import Rule
from adaptive_middleware.strategies.careful import abstaining
from adaptive_middleware.strategies.guards import fail_open, within
from adaptive_middleware.strategies.pass_through import pass_through
from adaptive_middleware.strategies.shadow import as_it_comes
from adaptive_middleware.types import Outcome, Path, Request
from adaptive_middleware.worker import Worker

if TYPE_CHECKING:
    from adaptive_middleware.shadowing import Shadowing

__all__ = ["Middleware", "Rule"]


class Middleware:
    """Wraps LLM calls: the first rule that accepts a request decides how it is answered.

    `strategy` is what every call gets when no rule accepts it (default: one plain call). The scorer and
    the verifier are shared by all rules and called from one worker thread, so they need not be thread-safe; a
    `ports.ConcurrentScorer` is called directly. The event loop never waits for them. `observers` are told of
    every call that was answered here; what they raise is logged and never reaches a call.
    """

    def __init__(
        self,
        strategy: Strategy = pass_through,
        *,
        rules: Sequence[Rule] = (),
        scorer: Scorer | None = None,
        verifier: Verifier | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.rules = (*rules, Rule("default", strategy))
        self.scorer, self.verifier = scorer, verifier
        self._worker = Worker(scorer, verifier)
        self._observed = Observed(tuple(observers)) if observers else None
        self._shadowing = self._in_shadow() if any(rule.shadow for rule in self.rules) else None

    @classmethod
    def from_config(cls, source: str | PathLike[str] | Mapping[str, object]) -> Self:
        """Build everything from a YAML or TOML file, or from a mapping of the same shape.

        Raises `ConfigError` with file, line, column and remedy.
        """
        from adaptive_middleware.config import load  # noqa: PLC0415 - pydantic is not needed to run

        plan = load(source).build()
        return cls(rules=plan.rules, scorer=plan.scorer, verifier=plan.verifier, observers=plan.observers)

    def rule(self, request: Request) -> Rule:
        """The rule that applies to `request`."""
        return next(rule for rule in self.rules if rule.when(request))

    def feedback(self, call_id: str, *, correct: bool | None) -> None:
        """Say whether the answer of a call was right (None: not known any more); `call_id` is the report's `id`.

        It is on the disk when this returns, so it blocks: from an event loop, call it by `asyncio.to_thread`. Raises
        `UnknownCall` for a call that is not kept, `TraceError` where none are.
        """
        (self._observed or Observed(())).feedback(call_id, correct=correct)

    def run(
        self,
        request: Request,
        sampler: Sampler,
        *,
        streamer: Streamer | None = None,
        extender: Extender | None = None,
    ) -> Outcome:
        """Answer `request` with samples from `sampler`; blocks.

        `streamer` and `extender` are for strategies that read answers step by step or continue them.
        """
        began, rule = time.monotonic(), self.rule(request)
        request = _with_deadline(request, rule)
        with self._around(request):
            with owned(streamer, request) as mine:
                outcome = run(_guarded(rule, request), self._ports(sampler, mine, extender))
            return self._ended(request, outcome, rule, began)

    async def arun(
        self,
        request: Request,
        sampler: AsyncSampler,
        *,
        streamer: AsyncStreamer | None = None,
        extender: AsyncExtender | None = None,
    ) -> Outcome:
        """Answer `request` with samples from `sampler`, without blocking the event loop."""
        began, rule = time.monotonic(), self.rule(request)
        request = _with_deadline(request, rule)
        with self._around(request):
            async with aowned(streamer, request) as mine:
                outcome = await arun(_guarded(rule, request), self._aports(sampler, mine, extender))
            return self._ended(request, outcome, rule, began)

    def stream(
        self,
        request: Request,
        sampler: Sampler,
        *,
        streamer: Streamer | None = None,
        extender: Extender | None = None,
    ) -> Iterator[Path | Outcome]:
        """As `run`, for a caller that watches: the answer while it is written, where the strategy shows it, then the outcome."""
        began, rule = time.monotonic(), self.rule(request)
        request = _with_deadline(request, rule)
        with owned(streamer, request) as mine:
            flow = _watched(rule, request, streamer)
            with closing(stream(flow, self._ports(sampler, mine, extender))) as watched:
                for seen in watched:
                    if isinstance(seen, Outcome):
                        seen = self._ended(request, seen, rule, began)  # noqa: PLW2901 - the same, kept
                    yield seen

    async def astream(
        self,
        request: Request,
        sampler: AsyncSampler,
        *,
        streamer: AsyncStreamer | None = None,
        extender: AsyncExtender | None = None,
    ) -> AsyncGenerator[Path | Outcome, None]:
        """As `stream`, without blocking the event loop."""
        began, rule = time.monotonic(), self.rule(request)
        request = _with_deadline(request, rule)
        async with aowned(streamer, request) as mine:
            flow = _watched(rule, request, streamer)
            async with aclosing(astream(flow, self._aports(sampler, mine, extender))) as watched:
                async for seen in watched:
                    if isinstance(seen, Outcome):
                        seen = self._ended(request, seen, rule, began)  # noqa: PLW2901 - the same, kept
                    yield seen

    def _around(self, request: Request) -> AbstractContextManager[None]:
        return nullcontext() if self._observed is None else self._observed.around(request)

    def _ended(self, request: Request, outcome: Outcome, rule: Rule, began: float) -> Outcome:
        outcome, seconds = _named(outcome, rule), time.monotonic() - began
        if self._shadowing is not None and rule.shadow and not rule.passes_through:
            self._shadowing.put(rule, request, outcome, seconds)
            return outcome
        return outcome if self._observed is None else self._observed.ended(request, outcome, seconds)

    def _in_shadow(self) -> Shadowing:
        from adaptive_middleware.shadowing import Shadowing, nothing_drawn, unobserved  # noqa: PLC0415 - slow to import

        told = unobserved if self._observed is None else self._observed.ended
        return Shadowing(self._ports(nothing_drawn, None, None), told)

    def _ports(self, sampler: Sampler, streamer: Streamer | None, extender: Extender | None) -> Ports:
        scorer = None if self.scorer is None else self._worker
        verifier = None if self.verifier is None else self._worker
        return Ports(sampler, scorer, verifier, streamer, extender)

    def _aports(
        self, sampler: AsyncSampler, streamer: AsyncStreamer | None, extender: AsyncExtender | None
    ) -> AsyncPorts:
        scorer = None if self.scorer is None else self._worker
        verifier = None if self.verifier is None else self._worker
        return AsyncPorts(sampler, scorer, verifier, streamer, extender)


def _named(outcome: Outcome, rule: Rule) -> Outcome:
    return outcome if rule.name == outcome.rule else replace(outcome, rule=rule.name)


def _watched(rule: Rule, request: Request, streamer: object) -> Flow[Outcome]:
    """The flow of a caller that watches: a plain call in shadow is shown to it while it is written."""
    return as_it_comes(request) if rule.shadow and streamer is not None else _guarded(rule, request)


def _guarded(rule: Rule, request: Request) -> Flow[Outcome]:
    if rule.shadow:
        return pass_through(request)
    flow = rule.strategy(request)
    if rule.strategy is not pass_through:
        flow = fail_open(flow, request)
    if rule.tools:
        flow = abstaining(flow, rule.tools)
    if request.deadline is not None or rule.tokens is not None:
        flow = within(flow, deadline=request.deadline, tokens=rule.tokens)
    return flow


def _with_deadline(request: Request, rule: Rule) -> Request:
    if rule.seconds is None or rule.shadow:
        return request
    ends = time.monotonic() + rule.seconds
    return replace(request, deadline=ends if request.deadline is None else min(ends, request.deadline))
