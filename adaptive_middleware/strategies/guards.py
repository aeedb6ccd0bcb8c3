"""Guards: flows around flows. They see every effect pass by and may answer or refuse it.

Each is a function from a flow to a flow, so they compose:
`within(fail_open(best_of_n(request), request), deadline=t, tokens=8000)`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from adaptive_middleware.effects import Effect, Flow, Sample, Score
from adaptive_middleware.errors import BudgetError, DeadlineExceeded, SamplerError, TokensExceeded
from adaptive_middleware.types import Outcome, Path, Request, StepScores, Usage


def fail_open(flow: Flow[Outcome], request: Request) -> Flow[Outcome]:
    """Keep the call alive when our own parts fail: the report then says `degraded`.

    A scorer that raises is answered with rejected scores, so that the strategy goes on with votes. When
    the strategy itself fails (a policy or a calibrator that raises), the first usable answer drawn so
    far is returned, or one plain call is made. Errors of the sampler and of budgets pass through: they
    are the caller's to see.
    """
    drawn: list[Path] = []
    usage = Usage()
    passed_on: BaseException | None = None
    answer: Any = None
    try:
        effect = next(flow)
        while True:
            passed_on = None
            try:
                answer = yield effect
            except Exception as error:  # noqa: BLE001 - the one place that fails open
                if isinstance(effect, Score) and not isinstance(error, BudgetError):
                    effect = flow.send(_rejected(effect, error))
                else:
                    passed_on = error
                    effect = flow.throw(error)
                continue
            if isinstance(effect, Sample):
                drawn += [path for path in answer if path.error is None]
                usage = sum((path.usage for path in answer), usage)
            effect = flow.send(answer)
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome
    except Exception as error:
        if error is passed_on or isinstance(error, (BudgetError, SamplerError)):
            raise
        if not drawn:
            drawn = [path for path in (yield from Sample(request, 1)) if path.error is None]
            usage = sum((path.usage for path in drawn), usage)
        if not drawn:
            raise
        cause = f"{type(error).__name__}: {error}"
        return Outcome(chosen=drawn[0], usage=usage, degraded=(cause,), strategy="pass-through")


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
    spent = dearest = 0
    effect = next(flow)
    try:
        while True:
            try:
                if isinstance(effect, Sample):
                    effect = _granted(effect, deadline, tokens, spent, dearest, clock)
                answer = yield effect
            except BaseException as error:  # noqa: BLE001 - not swallowed: the inner flow decides
                effect = flow.throw(error)
                continue
            if isinstance(effect, Sample):
                costs = [path.usage.completion_tokens for path in answer]
                spent, dearest = spent + sum(costs), max([dearest, *costs])
            effect = flow.send(answer)
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome


def transcript(flow: Flow[Outcome], effects: list[Effect[Any]]) -> Flow[Outcome]:
    """Append every effect to `effects` as it passes: what a strategy asked for, in order."""
    effect = next(flow)
    try:
        while True:
            effects.append(effect)
            try:
                answer = yield effect
            except BaseException as error:  # noqa: BLE001 - not swallowed: the inner flow decides
                effect = flow.throw(error)
            else:
                effect = flow.send(answer)
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome


def _rejected(effect: Score, error: Exception) -> Sequence[StepScores]:
    return [StepScores(rejected=f"{type(error).__name__}: {error}")] * len(effect.paths)


def _granted(
    effect: Sample,
    deadline: float | None,
    tokens: int | None,
    spent: int,
    dearest: int,
    clock: Callable[[], float],
) -> Sample:
    if deadline is not None and clock() >= deadline:
        message = f"no time left for {effect.n} more samples"
        raise DeadlineExceeded(message)
    if tokens is None:
        return effect
    limit = effect.request.parameters.get("max_tokens")
    worst = limit if isinstance(limit, int) and limit > 0 else dearest
    if worst == 0:
        return replace(effect, n=1)
    affordable = (tokens - spent) // worst
    if affordable < 1:
        message = f"{spent} of {tokens} tokens are spent; one more sample may cost {worst}"
        raise TokensExceeded(message)
    return replace(effect, n=min(effect.n, affordable))
