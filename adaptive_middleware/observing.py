"""Observers told of calls and of how they ended, so that none of them can harm one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

from adaptive_middleware.call_ids import call_id
from adaptive_middleware.errors import TraceError
from adaptive_middleware.ports import Judged, Observer, Surrounding, Thorough
from adaptive_middleware.types import Outcome, Request, Unanswered

KEPT_NOWHERE = (
    "no calls are kept, so none can be judged: add `trace: {}` to the configuration (docs/traces.md)"
)


@dataclass(slots=True)
class Observed:
    """The observers of a middleware, behind a guard: what one raises is logged once and never reaches a call."""

    observers: Sequence[Observer]
    _failed: set[int] = field(default_factory=set, repr=False)
    _surrounding: tuple[tuple[int, Surrounding], ...] = field(init=False, repr=False)
    _thorough: tuple[tuple[int, Thorough], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found = tuple(enumerate(self.observers))
        self._surrounding = tuple((at, one) for at, one in found if isinstance(one, Surrounding))
        self._thorough = tuple((at, one) for at, one in found if isinstance(one, Thorough))

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> Outcome:
        """The outcome with the id under which the observers got it, after all of them were told."""
        outcome = replace(outcome, id=call_id())
        for position, observer in enumerate(self.observers):
            with self._guarded(position, observer):
                observer.ended(request, outcome, seconds)
        return outcome

    @property
    def thorough(self) -> bool:
        """Whether one of them is told of calls without an answer, too."""
        return bool(self._thorough)

    def unanswered(self, request: Request, call: Unanswered, seconds: float) -> None:
        """Tell those who want to know of a call that ended without an answer; it gets an id for that."""
        call = replace(call, id=call_id())
        for position, observer in self._thorough:
            with self._guarded(position, observer):
                observer.unanswered(request, call, seconds)

    def around(self, request: Request) -> AbstractContextManager[None]:
        """The observers that are there while a call is answered, entered and left."""
        return self._around(request) if self._surrounding else nullcontext()

    @contextmanager
    def _around(self, request: Request) -> Iterator[None]:
        entered: list[tuple[int, Surrounding, AbstractContextManager[object]]] = []
        for position, observer in self._surrounding:
            with self._guarded(position, observer):
                context = observer.around(request)
                context.__enter__()
                entered.append((position, observer, context))
        error: BaseException | None = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            for position, observer, context in reversed(entered):
                with self._guarded(position, observer, error):
                    trace = None if error is None else error.__traceback__
                    context.__exit__(None if error is None else type(error), error, trace)

    @contextmanager
    def _guarded(
        self, position: int, observer: Observer, known: BaseException | None = None
    ) -> Iterator[None]:
        """What an observer raises is logged here; not the call's own error, if it hands that on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - not our code, and a call matters more
            if error is not known:
                self._log(position, observer, error)

    def feedback(self, call_id: str, *, correct: bool | None) -> None:
        """Tell every observer that keeps calls what came of one; raises `TraceError` when there is none."""
        keeping = [each for each in self.observers if isinstance(each, Judged)]
        if not keeping:
            raise TraceError(KEPT_NOWHERE)
        for observer in keeping:
            observer.feedback(call_id, correct=correct)

    def _log(self, position: int, observer: Observer, error: Exception) -> None:
        if position in self._failed:
            return
        self._failed.add(position)
        import logging  # noqa: PLC0415 - these three cost a fifth of the package's import time
        from traceback import format_exception  # noqa: PLC0415 - as above

        from adaptive_middleware.redaction import Redaction  # noqa: PLC0415 - as above

        said = Redaction.of()("".join(format_exception(error)))
        log = logging.getLogger(__name__)
        log.error("observer %r failed: calls go on, and this is said once\n%s", observer, said)
