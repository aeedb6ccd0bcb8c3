"""One call from its beginning to its end: its rule, its deadline, and who is told of its end, whatever that is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from adaptive_middleware.deadline import Deadline
from adaptive_middleware.effects import Flow
from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.parts import Parts
from adaptive_middleware.rules import Rule
from adaptive_middleware.strategies.tally import Tally
from adaptive_middleware.types import Outcome, Path, Request, Unanswered

CANCELLED = "cancelled"


@dataclass(slots=True)
class Call:
    """A call as it is answered: a context that is left by an error, or by nobody reading on, is told to the observers.

    It is counted only where there is somebody to be told.
    """

    parts: Parts
    rule: Rule
    request: Request
    tally: Tally | None = None
    began: float = 0.0
    _around: AbstractContextManager[None] | None = None
    _answered: bool = False

    @classmethod
    def of(cls, parts: Parts, request: Request, *, surrounded: bool = False) -> Call:
        """A call that begins now, under the first rule that accepts it; the observers are around it where it is `surrounded`."""
        began, rule = time.monotonic(), parts.rule(request)
        if rule.seconds is not None and not rule.shadow:
            request = replace(request, deadline=Deadline(request.deadline).sooner(rule.seconds).at)
        if parts.observed is None:
            return cls(parts, rule, request, None, began)
        tally = Tally() if parts.observed.thorough else None
        return cls(parts, rule, request, tally, began, parts.around(request) if surrounded else None)

    @property
    def closed(self) -> Callable[[Sequence[Path]], None] | None:
        """What counts answers that are closed in the end."""
        return None if self.tally is None else self.tally.closed

    def counted(self, flow: Flow[Outcome]) -> Flow[Outcome]:
        """The flow of the call, counted."""
        return flow if self.tally is None else self.tally.of(flow)

    def ended(self, outcome: Outcome) -> Outcome:
        """The outcome, named and told to the observers."""
        self._answered = True
        return self.parts.ended(self.request, outcome, self.rule, self.began)

    def __enter__(self) -> Self:
        if self._around is not None:
            self._around.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not self._answered and self.tally is not None:
            self._unanswered(error, self.tally)
        if self._around is not None:
            self._around.__exit__(kind, error, trace)

    def _unanswered(self, error: BaseException, tally: Tally) -> None:
        told = Unanswered(
            why(error),
            type(error).__name__,
            str(error),
            rule=self.rule.name,
            usage=tally.usage,
            drawn=tuple(tally.drawn),
            begun=tally.begun,
        )
        self.parts.unanswered(self.request, told, self.began)


def why(error: BaseException) -> str:
    """Why a call has no answer: `cancelled`, or `failed:` and a code.

    >>> why(AdaptiveError("no")), why(OSError("disk")), why(GeneratorExit())
    ('failed: AMW-E000', 'failed: OSError', 'cancelled')
    """
    from asyncio import CancelledError  # noqa: PLC0415 - calls that fail can wait for it, importing cannot

    if isinstance(error, (CancelledError, GeneratorExit)):
        return CANCELLED
    return f"failed: {error.code if isinstance(error, AdaptiveError) else type(error).__name__}"
