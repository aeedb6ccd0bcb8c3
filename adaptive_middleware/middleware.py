"""The composition root of a call: choose the rule, build the guarded flow, drive it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from os import PathLike
from typing import TYPE_CHECKING, Self

from adaptive_middleware.calling import Call
from adaptive_middleware.effects import Flow, Strategy
from adaptive_middleware.engine import arun, run
from adaptive_middleware.live import astream, stream
from adaptive_middleware.observing import Observed
from adaptive_middleware.open_answers import aowned, owned
from adaptive_middleware.parts import Parts
from adaptive_middleware.ports import (
    AsyncExtender,
    AsyncSampler,
    AsyncStreamer,
    Extender,
    Observer,
    Sampler,
    Scorer,
    Streamer,
    Verifier,
)
from adaptive_middleware.rules import Rule
from adaptive_middleware.scoring.breaker import Breaker
from adaptive_middleware.scoring.shield import Shield
from adaptive_middleware.strategies.careful import abstaining
from adaptive_middleware.strategies.guards import fail_open, within
from adaptive_middleware.strategies.pass_through import pass_through
from adaptive_middleware.strategies.shadow import as_it_comes
from adaptive_middleware.types import Outcome, Path, Request
from adaptive_middleware.worker import Worker

if TYPE_CHECKING:
    from adaptive_middleware.config import Plan

__all__ = ["Middleware", "Rule"]


class Middleware:
    """Wraps LLM calls: the first rule that accepts a request decides how it is answered.

    `strategy` is what every call gets when no rule accepts it (default: one plain call). The scorer and
    the verifier are shared by all rules and called from one worker thread, so they need not be thread-safe; a
    `ports.ConcurrentScorer` is called directly. The event loop never waits for them. `observers` are told of
    every call that was answered here, and of those that were not, if they want to (`ports.Thorough`); what they raise is logged and never reaches a call. After failures in a row
    `breaker` (5 of them, 10 s, unless another is given) leaves the scorer alone.
    """

    def __init__(  # noqa: PLR0913 - keywords
        self,
        strategy: Strategy = pass_through,
        *,
        rules: Sequence[Rule] = (),
        scorer: Scorer | None = None,
        verifier: Verifier | None = None,
        observers: Sequence[Observer] = (),
        breaker: Breaker | None = None,
    ) -> None:
        worker = Worker(scorer, verifier, None if breaker is None else Shield(breaker))
        self._now = Parts.of((*rules, Rule("default", strategy)), worker, observers)

    @classmethod
    def from_config(cls, source: str | PathLike[str] | Mapping[str, object]) -> Self:
        """Build everything from a YAML or TOML file, or from a mapping of the same shape.

        Raises `ConfigError` with file, line, column and remedy.
        """
        from adaptive_middleware.config import load  # noqa: PLC0415 - pydantic is not needed to run

        return cls.of(load(source).build())

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """A middleware made of a built configuration."""
        made = cls()
        made._take_on(plan, Worker(plan.scorer, plan.verifier))
        return made

    def reload(
        self,
        source: str | PathLike[str] | Mapping[str, object],
        *,
        arranged: Callable[[Plan], Plan] | None = None,
    ) -> None:
        """Take on another configuration: all of it, from the next call on; calls that have begun end under the old one.

        Raises `ConfigError` and whatever else building raises, and then nothing has changed. What did not change is not made
        anew: the process reward model stays loaded, and budgets go on being counted. `arranged` may change what was built before it is taken on.
        """
        from adaptive_middleware.config import load  # noqa: PLC0415 - pydantic is not needed to run

        old = self._now
        plan = load(source).build(before=old.plan)
        plan = plan if arranged is None else arranged(plan)
        kept = old.worker.scorer is not None and plan.scorer is old.worker.scorer
        worker = old.worker.with_verifier(plan.verifier) if kept else Worker(plan.scorer, plan.verifier)
        self._take_on(plan, worker)

    def _take_on(self, plan: Plan, worker: Worker) -> None:
        rules = (*plan.rules, Rule("default", pass_through))
        self._now = Parts.of(rules, worker, plan.observers, plan)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in the order in which they are tried."""
        return self._now.rules

    @property
    def scorer(self) -> Scorer | None:
        """The process reward model."""
        return self._now.worker.scorer

    @property
    def verifier(self) -> Verifier | None:
        """What checks answers."""
        return self._now.worker.verifier

    @property
    def breaker(self) -> Breaker:
        """The circuit breaker before the process reward model, for those who want to show its state."""
        return self._now.worker.shield.breaker

    def rule(self, request: Request) -> Rule:
        """The rule that applies to `request`."""
        return self._now.rule(request)

    def feedback(self, call_id: str, *, correct: bool | None) -> None:
        """Say whether the answer of a call was right (None: not known any more); `call_id` is the report's `id`.

        It is on the disk when this returns, so it blocks: from an event loop, call it by `asyncio.to_thread`. Raises
        `UnknownCall` for a call that is not kept, `TraceError` where none are.
        """
        (self._now.observed or Observed(())).feedback(call_id, correct=correct)

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
        now = self._now
        call = Call.of(now, request, surrounded=True)
        with call:
            with owned(streamer, call.request, call.closed) as mine:
                outcome = run(call.counted(_guarded(call)), now.ports(sampler, mine, extender))
            return call.ended(outcome)

    async def arun(
        self,
        request: Request,
        sampler: AsyncSampler,
        *,
        streamer: AsyncStreamer | None = None,
        extender: AsyncExtender | None = None,
    ) -> Outcome:
        """Answer `request` with samples from `sampler`, without blocking the event loop."""
        now = self._now
        call = Call.of(now, request, surrounded=True)
        with call:
            async with aowned(streamer, call.request, call.closed) as mine:
                outcome = await arun(call.counted(_guarded(call)), now.aports(sampler, mine, extender))
            return call.ended(outcome)

    def stream(
        self,
        request: Request,
        sampler: Sampler,
        *,
        streamer: Streamer | None = None,
        extender: Extender | None = None,
    ) -> Iterator[Path | Outcome]:
        """As `run`, for a caller that watches: the answer while it is written, where the strategy shows it, then the outcome."""
        now = self._now
        call = Call.of(now, request)
        with call, owned(streamer, call.request, call.closed) as mine:
            flow = call.counted(_watched(call, streamer))
            with closing(stream(flow, now.ports(sampler, mine, extender))) as watched:
                for seen in watched:
                    yield call.ended(seen) if isinstance(seen, Outcome) else seen

    async def astream(
        self,
        request: Request,
        sampler: AsyncSampler,
        *,
        streamer: AsyncStreamer | None = None,
        extender: AsyncExtender | None = None,
    ) -> AsyncGenerator[Path | Outcome, None]:
        """As `stream`, without blocking the event loop."""
        now = self._now
        call = Call.of(now, request)
        with call:
            async with aowned(streamer, call.request, call.closed) as mine:
                flow = call.counted(_watched(call, streamer))
                async with aclosing(astream(flow, now.aports(sampler, mine, extender))) as watched:
                    async for seen in watched:
                        yield call.ended(seen) if isinstance(seen, Outcome) else seen


def _watched(call: Call, streamer: object) -> Flow[Outcome]:
    """The flow of a caller that watches: a plain call in shadow is shown to it while it is written."""
    return as_it_comes(call.request) if call.rule.shadow and streamer is not None else _guarded(call)


def _guarded(call: Call) -> Flow[Outcome]:
    rule, request = call.rule, call.request
    if rule.shadow:
        return pass_through(request)
    flow = rule.strategy(request)
    if rule.strategy is not pass_through:
        flow = fail_open(flow, request)
    if rule.tools:
        flow = abstaining(flow, rule.tools)
    if request.deadline is not None or rule.tokens is not None:
        flow = within(flow, deadline=request.deadline, tokens=rule.tokens)
    if rule.budget is not None:
        from adaptive_middleware.strategies.budgeted import budgeted  # noqa: PLC0415 - most calls have none

        flow = budgeted(flow, request, rule.budget, policy=rule.name)
    return flow
