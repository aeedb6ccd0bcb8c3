"""The observer that keeps calls, and takes what came of them."""

from __future__ import annotations

import threading
import time
import weakref

from adaptive_middleware.errors import TraceError
from adaptive_middleware.trace.feedback import judge
from adaptive_middleware.trace.row import Ended
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.writer import Writer
from adaptive_middleware.types import Outcome, Request, Unanswered

FLUSH_SECONDS = 10.0


class TraceSink:
    """Keeps every call that it is told of in the store of `settings`, from a thread of its own.

    It can be pickled and survives a fork: each process begins a thread of its own with its first call.
    """

    def __init__(self, settings: TraceSettings) -> None:
        self.settings = settings
        self._writer: Writer | None = None
        self._starting = threading.Lock()

    def __reduce__(self) -> tuple[type[TraceSink], tuple[TraceSettings]]:
        return TraceSink, (self.settings,)

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        """Hand a call to the thread; returns at once."""
        self._started().offer(Ended(request, outcome, seconds, time.time()))

    def unanswered(self, request: Request, call: Unanswered, seconds: float) -> None:
        """Hand a call without an answer to the thread; returns at once."""
        self._started().offer(Ended.without_answer(request, call, seconds, time.time()))

    def feedback(self, call_id: str, *, correct: bool | None) -> None:
        """Write down whether the answer of a call was right (None: take that back); blocks until it is in the file.

        Raises `UnknownCall`, and `TraceError` when the store cannot be written.
        """
        self.flush()
        judge(self.settings.path, call_id, correct=correct)

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until every call so far is written down or dropped; raises `TraceError` after `seconds`."""
        writer = self._writer
        if writer is not None and writer.usable and not writer.flush(seconds):
            message = f"{self.settings.path}: not all calls were written down within {seconds:g} s"
            raise TraceError(message)

    @property
    def written(self) -> int:
        """Calls of this process that are in the file."""
        return 0 if self._writer is None else self._writer.written

    @property
    def dropped(self) -> int:
        """Calls of this process that were not written down, and never will be."""
        return 0 if self._writer is None else self._writer.dropped

    def close(self) -> None:
        """Write what is left and end the thread; a later call begins another."""
        if self._writer is not None:
            self._writer.close()

    def _started(self) -> Writer:
        writer = self._writer
        if writer is not None and writer.usable:
            return writer
        with self._starting:
            if self._writer is None or not self._writer.usable:
                self._writer = Writer(self.settings)
                weakref.finalize(self, self._writer.close)
            return self._writer
