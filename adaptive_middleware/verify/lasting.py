"""Judges that last: what a verifier keeps from call to call, so that its next answer does not wait for a start."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from adaptive_middleware.verify.judge import Judge
from adaptive_middleware.verify.sandbox.choose import sandbox
from adaptive_middleware.verify.sandbox.limits import Limits, Sandbox
from adaptive_middleware.verify.sandbox.monty import monty
from adaptive_middleware.verify.sandbox.warm import warm


@dataclass(frozen=True, slots=True)
class _Kept:
    """A judge, the sandbox that it was made for, and what ends with it."""

    where: Sandbox | None
    judge: Judge
    ready: warm | None = None
    fast: monty | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """What one process has started, for each sandbox and limits."""

    process: int = field(default_factory=os.getpid)
    lock: threading.Lock = field(default_factory=threading.Lock)
    judges: dict[tuple[int, Limits], _Kept] = field(default_factory=dict)


class Lasting:
    """One judge for each sandbox and limits, with at most `size` sandboxes that wait for the next answers.

    Nothing is started before it is asked for, and as many wait as were used side by side. They end with `close`, when
    nothing refers to this any more, and at exit; after `close` it begins anew. May be used by several threads, whose end
    ends nothing; a process that was forked begins anew, and so does a copy.
    """

    def __init__(self, size: int = 4) -> None:
        self._size, self._held = size, _Held()
        self._before = [self._held]
        weakref.finalize(self, _end_all, self._before)

    def judge(self, where: Sandbox | None, limits: Limits) -> Judge:
        """The judge with that sandbox, or with the best that works here. Raises `SandboxError` where none does."""
        if self._held.process != os.getpid():
            self._held = _Held()
            self._before.append(self._held)  # the other ones are kept: their end is not ours
        held = self._held
        with held.lock:
            known = held.judges.get((id(where), limits))
            if known is None:
                known = held.judges[id(where), limits] = self._made(where, limits)
        return known.judge

    def close(self) -> None:
        """End what was started here. No call may be going on."""
        _end(self._held, wait=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[Lasting], tuple[int]]:
        return Lasting, (self._size,)

    def _made(self, where: Sandbox | None, limits: Limits) -> _Kept:
        made = sandbox() if where is None else where
        if isinstance(made, monty):
            return _Kept(where, Judge(made, limits), fast=made if where is None else None)
        if not self._size or isinstance(made, warm):
            return _Kept(where, Judge(made, limits))
        ready = warm(made, limits, self._size, at_once=False)
        return _Kept(where, Judge(ready, limits), ready)


def _end(held: _Held, *, wait: bool) -> None:
    """End what this process has started, and wait for that only where no lock of another call may be held."""
    if held.process != os.getpid():
        return
    while held.judges:
        _, kept = held.judges.popitem()
        if kept.ready is not None:
            kept.ready.close(wait=wait)
        kept.judge.close()
        if kept.fast is not None:
            kept.fast.close()


def _end_all(every: Sequence[_Held]) -> None:
    for held in every:
        _end(held, wait=False)
