"""Shadow: a plain call as it is, and what a strategy would have drawn, as far as that one answer tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from adaptive_middleware.effects import Begin, Effect, Extend, Flow, Follow, Sample, Score, Strategy, Verify
from adaptive_middleware.errors import BudgetError, NotContinuing, NotStreaming, SamplerError
from adaptive_middleware.strategies.guards import fail_open, within
from adaptive_middleware.strategies.pass_through import pass_through
from adaptive_middleware.types import Decision, Outcome, Path, Request

_ENOUGH = "in shadow no further sample is drawn"


def as_it_comes(request: Request) -> Flow[Outcome]:
    """One plain call, shown to the caller while it is written; whole where it cannot be streamed."""
    try:
        opened = yield from Begin(request, 1)
    except NotStreaming:
        return (yield from pass_through(request))
    if not opened:
        message = "the streamer opened no answer for one that was asked for"
        raise SamplerError(message)
    path = yield from Follow(request, opened[0])
    return Outcome(chosen=path, usage=path.usage)


@dataclass(frozen=True, slots=True)
class shadowed:  # noqa: N801 - reads as a word, like the strategies
    """What `strategy` makes of the one answer that a plain call got: a flow of scores and verdicts, without draws.

    The outcome is the strategy's own, but its answer is the plain one, and its last decision says what would have
    been drawn: `first` is what was asked for before any answer was known, `then` what was asked for in view of this
    one. `Outcome.shadow` is at least that many samples in all: max(first, 1 + then). It is exact
    (`exact` is 1) when the one answer was all that was asked for, or the limit is reached. `tokens` limits
    the draws as it would have. Answers that would be read step by step or continued are judged as whole ones.
    """

    strategy: Strategy
    tokens: int | None = None

    def __call__(self, request: Request, path: Path) -> Flow[Outcome]:
        """The flow of the decision about `path`; it draws nothing and raises nothing of the strategy's."""
        asked: list[int] = []
        flow = fail_open(self.strategy(request), request)
        if self.tokens is not None:
            flow = within(flow, tokens=self.tokens)
        try:
            outcome = yield from _without_draws(flow, path, asked)
        except (BudgetError, SamplerError) as error:
            cause = f"the answer cannot be judged: {path.error or type(error).__name__}"
            outcome = Outcome(chosen=path, usage=path.usage, degraded=(cause,))
        return _told(outcome, path, asked)


def _without_draws(flow: Flow[Outcome], path: Path, asked: list[int]) -> Flow[Outcome]:
    """Drive `flow` with `path` for its first draw and a refusal for all others."""
    try:
        effect: Effect[Any] = next(flow)
        while True:
            try:
                match effect:
                    case Score() | Verify():
                        answer: object = yield effect
                    case _:
                        answer = _instead(effect, path, asked)
            except BaseException as error:  # noqa: BLE001 - not swallowed: the flow decides
                effect = flow.throw(error)
            else:
                effect = flow.send(answer)
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome


def _instead(effect: Effect[Any], path: Path, asked: list[int]) -> Sequence[Path]:
    match effect:
        case Sample(_, n):
            asked.append(n)
            if len(asked) > 1:
                raise BudgetError(_ENOUGH)
            return [path]
        case Extend():
            message = "in shadow no answer is continued"
            raise NotContinuing(message)
    message = "in shadow answers are judged whole"
    raise NotStreaming(message)


def _told(outcome: Outcome, path: Path, asked: Sequence[int]) -> Outcome:
    first, then = (*asked[:2], 0, 0)[:2]
    least = max(first, 1 + then)
    exact = (first <= 1 and then == 0) or least == outcome.limit
    because = f"shadow: {'' if exact else 'at least '}{least} {'sample' if least == 1 else 'samples'} would have been drawn"
    numbers = {"first": float(first), "then": float(then), "exact": float(exact)}
    return replace(
        outcome,
        chosen=path,
        decisions=(*outcome.decisions, Decision(0, because, numbers)),
        degraded=tuple(cause for cause in outcome.degraded if _ENOUGH not in cause),
        strategy=f"shadow of {outcome.strategy}",
        shadow=least,
    )
