"""Guards: flows around flows. They see every effect pass by and may answer or refuse it.

Each is a function from a flow to a flow, so they compose:
`within(fail_open(best_of_n(request), request), deadline=t, tokens=8000)`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from adaptive_middleware.deadline import MARGIN, Deadline
from adaptive_middleware.effects import (
    Advance,
    Begin,
    Drop,
    Effect,
    Extend,
    Flow,
    Follow,
    Sample,
    Score,
    Verify,
)
from adaptive_middleware.errors import (
    BudgetError,
    DeadlineExceeded,
    NotContinuing,
    NotStreaming,
    SamplerError,
    TokensExceeded,
)
from adaptive_middleware.types import Outcome, Path, Request, StepScores, Usage, Verdict


def fail_open(flow: Flow[Outcome], request: Request) -> Flow[Outcome]:
    """Keep the call alive when our own parts fail: the report then says `degraded`.

    A scorer that raises is answered with rejected scores, so that the strategy goes on with votes; so is
    one that is cut off by the deadline, once there is an answer to return. A verifier that raises or is cut off says
    nothing of the answers: they are not verified. When
    the strategy itself fails (a policy or a calibrator that raises), what was shown to the caller is returned, else
    the first usable answer drawn so far, or one plain call is made. Errors of the sampler before there is an answer, and of
    budgets, pass through: they are the caller's to see. A draw that fails later only loses its samples. After
    something was shown no error passes through.
    """
    watch = _Watch()
    try:
        outcome = yield from through(flow, watch.ask)
        return replace(outcome, degraded=(*outcome.degraded, *watch.causes)) if watch.causes else outcome
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        if watch.shown is not None:
            return Outcome(chosen=watch.shown, usage=watch.usage, degraded=(cause,))
        if error is watch.passed_on or isinstance(error, (BudgetError, SamplerError)):
            raise
        if not watch.drawn:
            yield from watch.ask(Sample(request, 1))
        if not watch.drawn:
            raise
        return Outcome(chosen=watch.drawn[0], usage=watch.usage, degraded=(cause,))


def within(
    flow: Flow[Outcome],
    *,
    deadline: float | None = None,
    tokens: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Flow[Outcome]:
    """Refuse further samples once the deadline has passed or the completion tokens are spent.

    `deadline` is an instant of `clock` (seconds). With a token limit the first draw is a single probe
    unless the request says `max_tokens`, and every later draw shrinks to what fits at the worst cost
    known: `max_tokens`, or the dearest sample so far. A refusal is thrown into the flow as a
    `BudgetError`; a strategy then returns the best answer it has.
    """
    return through(flow, _Limits(deadline, tokens, clock).ask)


def transcript(flow: Flow[Outcome], effects: list[Effect[Any]]) -> Flow[Outcome]:
    """Append every effect to `effects` as it passes: what a strategy asked for, in order."""

    def ask(effect: Effect[Any]) -> Flow[Any]:
        effects.append(effect)
        return (yield effect)

    return through(flow, ask)


def through(flow: Flow[Outcome], ask: Callable[[Effect[Any]], Flow[Any]]) -> Flow[Outcome]:
    """A guard: drive `flow`, with `ask` (a flow too) obtaining the answer to each of its effects."""
    try:
        effect = next(flow)
        while True:
            try:
                answer = yield from ask(effect)
            except BaseException as error:  # noqa: BLE001 - not swallowed: the inner flow decides
                effect = flow.throw(error)
            else:
                effect = flow.send(answer)
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome


@dataclass(slots=True)
class _Watch:
    """What `fail_open` has seen pass: usable answers, their cost, what was shown, the last error passed on, and causes."""

    drawn: list[Path] = field(default_factory=list)
    shown: Path | None = None
    usage: Usage = field(default_factory=Usage)
    passed_on: Exception | None = None
    causes: list[str] = field(default_factory=list)

    def ask(self, effect: Effect[Any]) -> Flow[Any]:
        try:
            answer = yield effect
        except Exception as error:
            instead = self._instead(effect, error)
            if instead is None:
                self.passed_on = error
                raise
            return instead
        if isinstance(effect, PAID):
            ended = settled(effect, answer)
            if isinstance(effect, Follow) and answer.text:
                self.shown = replace(answer, error=None)
            if not isinstance(effect, Drop):
                self.drawn += [path for path in ended if path.ended and path.error is None]
            self.usage = sum((path.usage for path in ended), self.usage)
        return answer

    def _instead(self, effect: Effect[Any], error: Exception) -> list[Any] | None:
        """What the strategy gets in place of an answer, so that it can go on; None when it cannot."""
        cause = f"{type(error).__name__}: {error}"
        over = isinstance(error, (BudgetError, NotContinuing, NotStreaming))
        match effect:
            case Score(_, paths) if self.drawn or not isinstance(error, BudgetError):
                return [StepScores(rejected=cause)] * len(paths)
            case Verify(_, paths):
                self.causes.append(f"not verified: {cause}")
                return [Verdict(None, cause)] * len(paths)
            case Sample(_, n) | Begin(_, n) if self.drawn and not over:
                return [Path(error=cause, usage=Usage(requests=1))] * n
            case Drop(_, paths) | Advance(_, paths) if isinstance(effect, Drop) or (self.drawn and not over):
                return [replace(path, error=cause) for path in paths]
            case Extend() if self.drawn and not over:
                return []
        return None


@dataclass(slots=True)
class _Limits:
    """What `within` allows, and what has been spent of it."""

    deadline: float | None
    tokens: int | None
    clock: Callable[[], float]
    spent: int = 0
    dearest: int = 0

    def ask(self, effect: Effect[Any]) -> Flow[Any]:
        if isinstance(effect, (Sample, Begin)):
            self._in_time(f"for {effect.n} more samples")
            effect = self._granted(effect)
        elif isinstance(effect, (Advance, Extend, Follow)):
            self._in_time("to read open answers on")
            self._not_spent(effect)
        answer: Any = yield effect
        if isinstance(effect, PAID):
            self._count(settled(effect, answer))
        return answer

    def _count(self, ended: Sequence[Path]) -> None:
        costs = [path.usage.completion_tokens for path in ended]
        self.spent, self.dearest = self.spent + sum(costs), max([self.dearest, *costs])

    def _in_time(self, what: str) -> None:
        if Deadline(self.deadline, self.clock).seconds(MARGIN) == 0:
            message = f"no time left {what}"
            raise DeadlineExceeded(message)

    def _not_spent(self, effect: Advance | Extend | Follow) -> None:
        if isinstance(effect, Extend) and self.tokens is not None and self.spent >= self.tokens:
            message = f"{self.spent} of {self.tokens} tokens are spent; no path is continued"
            raise TokensExceeded(message)

    def _granted(self, effect: Sample | Begin) -> Sample | Begin:
        if self.tokens is None:
            return effect
        limit = effect.request.parameters.get("max_tokens")
        worst = limit if isinstance(limit, int) and limit > 0 else self.dearest
        if worst == 0:
            return replace(effect, n=1)
        affordable = (self.tokens - self.spent) // worst
        if affordable < 1:
            message = f"{self.spent} of {self.tokens} tokens are spent; one more sample may cost {worst}"
            raise TokensExceeded(message)
        return replace(effect, n=min(effect.n, affordable))


PAID = (Sample, Advance, Extend, Follow, Drop)
"""Effects whose answers cost something that `settled` counts."""


def settled(effect: Effect[Any], answer: Any) -> list[Path]:  # noqa: ANN401 - what the effect is answered with
    """The paths of an answer to `effect` whose usage is not counted anywhere else."""
    if isinstance(effect, Follow):
        return [answer]
    return [path for path in answer if path.ended] if isinstance(effect, Advance) else list(answer)
