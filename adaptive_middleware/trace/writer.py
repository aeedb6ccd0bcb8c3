"""The thread that writes calls down, and the queue before it: never longer than said, never waited for."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from queue import Empty, Full, Queue
from typing import TypeAlias

from adaptive_middleware.errors import TraceError
from adaptive_middleware.trace.file import StoreFile
from adaptive_middleware.trace.keeping import Keeping
from adaptive_middleware.trace.row import Ended, row_of
from adaptive_middleware.trace.settings import TraceSettings

LOG = logging.getLogger(__name__)
BATCH = 256
"""Most calls that are written at once."""
LAST_SECONDS = 5.0
"""How long the end of the process waits for what is still in the queue."""
QUIET_SECONDS = 60.0
"""How long one kind of trouble is not said again."""
_CAUSES = 20
_Item: TypeAlias = "Ended | threading.Event | None"


class Writer:
    """Calls on their way to a store: `written` are in the file, `dropped` will never be.

    `offer` takes about a microsecond and never waits. A full queue, a full or locked disk, a store of a newer version: calls are
    dropped and counted, each kind of trouble is logged at most once a minute, and writing goes on when it ends. A process that is
    ending begins no threads any more: there, a call is written when it is offered.
    """

    def __init__(self, settings: TraceSettings) -> None:
        self._process, self._closed = os.getpid(), False
        self.written = self.dropped = 0
        self._file, self._keeping = StoreFile(settings), Keeping.of(settings.level)
        self._queue: Queue[_Item] = Queue(settings.queue)
        self._counting = threading.Lock()
        self._trouble = False
        self._said: dict[str, float] = {}
        self._thread: threading.Thread | None = threading.Thread(
            target=self._run, name="adaptive-trace", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None

    @property
    def usable(self) -> bool:
        """Whether calls may be offered: it is not closed, and its thread is one of this process, not of a parent."""
        return not self._closed and self._process == os.getpid()

    def offer(self, ended: Ended) -> None:
        """Queue a call; when there is no room for it, count it as dropped."""
        if self._thread is None:
            self._write([ended])
            return
        try:
            self._queue.put_nowait(ended)
        except Full:
            self._drop(1, "the queue is full: calls end faster than they can be written")

    def flush(self, seconds: float) -> bool:
        """Wait until all that was offered before is written or dropped; False when that took longer than `seconds`."""
        if self._thread is None:
            return True
        done = threading.Event()
        try:
            self._queue.put(done, timeout=seconds)
        except Full:
            return False
        return done.wait(seconds)

    def close(self) -> None:
        """Write what is left, for at most `LAST_SECONDS`, and end the thread."""
        if not self.usable:
            return
        self._closed = True
        if self._thread is None:
            self._file.close()
            return
        try:
            self._queue.put(None, timeout=LAST_SECONDS)
        except Full:
            return
        self._thread.join(LAST_SECONDS)

    def _run(self) -> None:
        going = True
        while going:
            batch = self._batch()
            self._write([item for item in batch if isinstance(item, Ended)])
            for item in batch:
                if isinstance(item, threading.Event):
                    item.set()
            going = None not in batch
        self._file.close()

    def _batch(self) -> list[_Item]:
        batch = [self._queue.get()]
        while len(batch) < BATCH and batch[-1] is not None:
            try:
                batch.append(self._queue.get_nowait())
            except Empty:
                break
        return batch

    def _write(self, calls: Sequence[Ended]) -> None:
        if not calls:
            return
        try:
            new = self._file.add([row_of(call, self._keeping) for call in calls])
        except Exception as error:  # noqa: BLE001 - one call that cannot be written must not end all writing
            if _of_the_store(error):
                self._drop(len(calls), f"{type(error).__name__}: {error}")
            else:
                self._one_by_one(calls, error)
        else:
            self._wrote(new, len(calls) - new)

    def _one_by_one(self, calls: Sequence[Ended], error: Exception) -> None:
        if len(calls) == 1:
            self._drop(1, f"a call cannot be written down: {type(error).__name__}")
            return
        for call in calls:
            self._write([call])

    def _wrote(self, new: int, known: int) -> None:
        self.written += new
        if known:
            self._drop(known, "a call of that id is there already")
            return
        with self._counting:
            ended, self._trouble = self._trouble, False
        if ended and self._rarely("again"):
            LOG.info("trace store: calls are written down again; %d were not", self.dropped)

    def _drop(self, calls: int, why: str) -> None:
        with self._counting:
            self.dropped += calls
            self._trouble = True
        if self._rarely(why):
            LOG.warning("trace store: %d calls not written down: %s", calls, self._keeping.credentials(why))

    def _rarely(self, what: str) -> bool:
        """Whether this was not said within the last `QUIET_SECONDS`."""
        now = time.monotonic()
        with self._counting:
            recent = [(said, at) for said, at in self._said.items() if now - at < QUIET_SECONDS]
            self._said = {what: now, **dict(recent[-_CAUSES:])}
        return what not in dict(recent)


def _of_the_store(error: Exception) -> bool:
    """Whether the file is in trouble, not one of the calls."""
    return (
        isinstance(error, (sqlite3.OperationalError, OSError, TraceError))
        or type(error) is sqlite3.DatabaseError
    )
