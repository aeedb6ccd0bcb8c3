"""The guard of shared budgets: what a call may cost is reserved before it is asked for, and settled afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from adaptive_middleware.budget.amounts import Amounts
from adaptive_middleware.budget.caps import Subject
from adaptive_middleware.budget.estimates import Estimates
from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.budget.purse import Purse
from adaptive_middleware.budget.spender import spender
from adaptive_middleware.effects import Advance, Begin, Drop, Effect, Extend, Flow, Follow, Sample, Score
from adaptive_middleware.errors import BudgetError, BudgetUnavailable, UsageRefused
from adaptive_middleware.spent import Spent
from adaptive_middleware.strategies.guards import settled, through
from adaptive_middleware.strategies.reserving import NOTHING, Reserving
from adaptive_middleware.types import Outcome, Path, Request, StepScores

TENANT = "tenant:"
"""A tag that begins so names the tenant, where the program around the call names none."""


def budgeted(
    flow: Flow[Outcome],
    request: Request,
    ledger: Ledger,
    *,
    policy: str | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Flow[Outcome]:
    """Keep all calls of `ledger` together within its caps; `policy` is the name of the rule that applies.

    Before a draw its worst case is reserved; where not all of it is free, fewer samples are drawn, and where nothing
    is, the call waits (if it has no answer yet and the cap says so) or `BudgetExhausted` is thrown into the
    flow, which returns the best answer it has. Afterwards what was used is settled and the rest given back: after a failure
    all of it, after a cancellation or a deadline all but what is certain to be paid for. Scoring without budget is
    answered with rejected scores.
    """
    who, tags = spender(), sorted(request.tags)
    tenant = next((tag.removeprefix(TENANT) for tag in tags if tag.startswith(TENANT)), None)
    tenant = tenant if who.tenant is None else who.tenant
    subject = Subject(uuid4().hex, tenant, policy, request.model, who.run)
    guard = _Guard(Purse(ledger, subject, request.deadline), clock)
    try:
        outcome = yield from through(flow, guard.ask)
    except GeneratorExit:
        guard.reserving.settle_now(guard.left())
        raise
    except BaseException:
        yield from guard.reserving.settle(guard.left())
        raise
    yield from guard.reserving.settle(guard.left())
    spent = yield from guard.report()
    return replace(outcome, budget=spent, degraded=(*outcome.degraded, *dict.fromkeys(guard.notes)))


@dataclass(frozen=True, slots=True)
class _Held:
    """The hold of one answer, with what it was reserved for."""

    hold: str
    worst: Amounts
    estimates: Estimates


@dataclass(eq=False, slots=True)
class _Guard:
    """What one call holds: of `open` streamed answers, and what is known `read` of them."""

    purse: Purse
    clock: Callable[[], float]
    notes: list[str] = field(default_factory=list)
    reserving: Reserving = field(init=False)
    open: list[_Held] = field(default_factory=list)
    read: list[Amounts] = field(default_factory=list)
    _estimates: Estimates | None = None

    def __post_init__(self) -> None:
        self.reserving = Reserving(self.purse, self.notes, self.clock)

    def ask(self, effect: Effect[Any]) -> Flow[Any]:
        """The answer to an effect, paid for."""
        match effect:
            case Sample() | Begin():
                return (yield from self._drawn(effect))
            case Extend():
                return (yield from self._extended(effect))
            case Advance() | Follow() | Drop():
                return (yield from self._moved(effect))
            case Score() if any(cap.unit == "prm_ms" for cap in self.purse.ledger.caps):
                return (yield from self._scored(effect))
        return (yield effect)

    def left(self) -> list[tuple[str, Amounts | None]]:
        """Answers that nobody will read on, with what is certain of them."""
        known: list[Amounts | None] = [*self.read, *[None] * len(self.open)]
        held, self.open, self.read = self.open, [], []
        return [(one.hold, spent) for one, spent in zip(held, known, strict=False)]

    def report(self) -> Flow[tuple[Spent, ...]]:
        """What the call took of each budget."""
        try:
            return (yield from self.reserving.asked(self.purse.report))
        except BudgetUnavailable:
            return self.purse.reported()

    def _drawn(self, effect: Sample | Begin) -> Flow[Sequence[Path]]:
        estimates = self._of(effect.request)
        held = yield from self._held(estimates, effect.n, estimates.worst())
        paths: Sequence[Path] = yield from self._paid(replace(effect, n=len(held)), held)
        if isinstance(effect, Sample):
            yield from self._settle(held, paths)
        else:
            self.open += held[: len(paths)]
            self.reserving.patient = False
            yield from self._settle(held[len(paths) :], ())
        return paths

    def _extended(self, effect: Extend) -> Flow[Sequence[Path]]:
        estimates, least = self._of(effect.request), len(effect.paths)
        worst = estimates.worst(effect.paths)
        held = yield from self._held(estimates, least * effect.fanout, worst, least)
        fanout = len(held) // least
        kept, over = held[: fanout * least], held[fanout * least :]
        yield from self._settle(over, ())
        paths: Sequence[Path] = yield from self._paid(replace(effect, fanout=fanout), kept)
        yield from self._settle(kept, paths)
        return paths

    def _moved(self, effect: Advance | Follow | Drop) -> Flow[Any]:
        """Open answers are paid for already; those that end are settled."""
        answer = yield effect
        ended = settled(effect, answer)
        held, self.open = self.open[: len(ended)], self.open[len(ended) :]
        if isinstance(effect, Advance) and self.open:
            going = [path for path in answer if not path.ended]
            self.read = [self.open[0].estimates.read(path) for path in going]
        yield from self._settle(held, ended)
        return answer

    def _scored(self, effect: Score) -> Flow[Sequence[StepScores]]:
        worst, model = Amounts(prm_ms=self.purse.ledger.assumed.prm_ms), effect.request.model
        try:
            (hold,) = yield from self.reserving.holds(1, worst, NOTHING, model=model)
        except BudgetError as error:
            self.notes.append(f"{type(error).__name__}: {error}")
            return [StepScores(rejected=str(error))] * len(effect.paths)
        began = self.clock()
        try:
            answer: Sequence[StepScores] = yield effect
        except GeneratorExit:
            self.reserving.settle_now([(hold, self._since(began))])
            raise
        except BaseException:
            yield from self.reserving.settle([(hold, self._since(began))])
            raise
        yield from self.reserving.settle([(hold, self._since(began))])
        return answer

    def _held(self, estimates: Estimates, n: int, worst: Amounts, least: int = 1) -> Flow[list[_Held]]:
        floor, model = estimates.certain(), estimates.request.model
        holds = yield from self.reserving.holds(n, worst, floor, model=model, least=least)
        return [_Held(hold, worst, estimates) for hold in holds]

    def _paid(self, effect: Effect[Any], held: Sequence[_Held]) -> Flow[Any]:
        try:
            return (yield effect)
        except GeneratorExit:
            self.reserving.settle_now([(one.hold, None) for one in held])
            raise
        except BaseException as error:
            sent = not isinstance(error, Exception) or isinstance(error, (BudgetError, TimeoutError))
            yield from self.reserving.settle([(one.hold, None if sent else NOTHING) for one in held])
            raise

    def _settle(self, held: Sequence[_Held], paths: Sequence[Path]) -> Flow[None]:
        """Each answer counts what it cost, and what no answer came back for is given back."""
        if paths:
            self.reserving.patient = False
        spent: list[tuple[str, Amounts | None]] = [
            (one.hold, self._spent(one, paths[i]) if i < len(paths) else NOTHING)
            for i, one in enumerate(held)
        ]
        yield from self.reserving.settle(spent)

    def _spent(self, held: _Held, path: Path) -> Amounts:
        try:
            return held.estimates.spent(path)
        except UsageRefused as error:
            self.notes.append(f"{type(error).__name__}: {error}; the answer is counted at its worst case")
            return held.worst

    def _of(self, request: Request) -> Estimates:
        """The estimates of a request; what the provider counted of it once is known from then on."""
        if self._estimates is None or self._estimates.request is not request:
            ledger = self.purse.ledger
            self._estimates = Estimates(request, ledger.caps, ledger.price, ledger.assumed)
        return self._estimates

    def _since(self, began: float) -> Amounts:
        return Amounts(prm_ms=max(round((self.clock() - began) * 1000), 0))
