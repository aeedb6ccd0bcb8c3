"""The fast tier: Monty, a Python interpreter without an operating system, in a worker process; for what it can run.

It runs most functions that take and give plain values, on every system, in well under a millisecond. What it does not know
(inheritance, generators, most of the standard library) and whatever else goes wrong in it is run again in another sandbox:
only values that it computed are believed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.sandbox.codec import to_bytes
from adaptive_middleware.verify.sandbox.interpreter import Elsewhere, Interpreter
from adaptive_middleware.verify.sandbox.limits import Ended, Limits, Sandbox, Session


@dataclass(slots=True)
class monty:  # noqa: N801 - tiers read as words
    """The `Sandbox` port by pydantic-monty, with the sandbox that takes what it cannot run; `close` ends its workers.

    Without `beyond` (no other sandbox works here) such code ends as `broken`, so its verdict is `unverified`. Tests that come
    with the task are run by `tester` (`beyond` where left out), those that a model wrote by `beyond`.
    """

    beyond: Sandbox | None = None
    tester: Sandbox | None = None
    name: str = field(default="monty", init=False)
    _pool: Any = None

    def open(self, limits: Limits) -> MontySession:
        """See `Sandbox`. Raises `SandboxError` where pydantic-monty is not installed."""
        if find_spec("pydantic_monty") is None:
            message = "Monty is not installed: pip install 'adaptive-middleware[sandbox]'"
            raise SandboxError(message)
        if self._pool is None:
            from pydantic_monty import Monty  # noqa: PLC0415 - an extra

            self._pool = Monty().__enter__()
        return MontySession(lambda: self._worker(limits), limits, self.beyond, self.tester or self.beyond)

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._pool.__exit__(None, None, None)
            self._pool = None

    def _worker(self, limits: Limits) -> Any:  # noqa: ANN401 - a class of an extra
        own = {"max_feed_duration_secs": min(1.0, limits.seconds), "max_memory": limits.memory_mb * 2**20}
        return self._pool.checkout(limits=own, os_policy={"sleep": "zero"}).__enter__()


@dataclass(slots=True)
class MontySession:
    """The `Session` of one answer: in Monty, until there is something that only another sandbox can do."""

    _start: Callable[[], Any]
    _limits: Limits
    _beyond: Sandbox | None
    _tester: Sandbox | None
    _here: Interpreter | None = None
    _there: Session | None = None
    _asked: list[bytes] = field(default_factory=list)

    def send(self, request: bytes) -> None:
        """See `Session`; tests go elsewhere at once, those that a model wrote never to the tester."""
        for role, other in ((_TRUSTED, self._tester), (_WRITTEN, self._beyond)):
            if self._there is None and request.startswith(role):
                self._there = _opened(other, self._limits)
        if self._there is None:
            self._asked.append(request)
        else:
            self._there.send(request)

    def receive(self, seconds: float) -> bytes | Ended:
        """See `Session`."""
        if self._there is None:
            try:
                self._here = self._here or Interpreter(self._start())
                return self._here.answer(self._asked[-1])
            except Elsewhere:
                self._there = _opened(self._beyond, self._limits)
            for earlier in self._asked[:-1]:
                self._there.ask(earlier, seconds)
            self._there.send(self._asked[-1])
        return self._there.receive(seconds)

    def ask(self, request: bytes, seconds: float) -> bytes | Ended:
        """See `Session`."""
        self.send(request)
        return self.receive(seconds)

    def finish(self, request: bytes, seconds: float) -> Ended:
        """See `Session`: programs need another sandbox."""
        self._there = self._there or _opened(self._beyond, self._limits)
        return self._there.finish(request, seconds)

    def alive(self) -> bool:
        """See `Session`."""
        return self._there is None or self._there.alive()

    def close(self) -> None:
        """See `Session`."""
        if self._here is not None:
            self._here.close()
            self._here = None
        if self._there is not None:
            self._there.close()


_TRUSTED, _WRITTEN = (b"l5;" + to_bytes(role) for role in ("fork check", "check"))


def _opened(sandbox: Sandbox | None, limits: Limits) -> Session:
    """A session of the other sandbox; where there is none, or it does not start, one that says so."""
    if sandbox is None:
        return Nowhere("Monty cannot run this, and no other sandbox works here")
    try:
        return sandbox.open(limits)
    except SandboxError as error:
        return Nowhere(str(error))


@dataclass(frozen=True, slots=True)
class Nowhere:
    """The `Session` of a sandbox that is not there: whatever is asked, it is `broken`."""

    why: str

    def send(self, request: bytes) -> None:
        """Nothing is done."""

    def receive(self, seconds: float) -> Ended:  # noqa: ARG002 - the port's
        """Why."""
        return Ended("broken", detail=self.why)

    def ask(self, request: bytes, seconds: float) -> Ended:  # noqa: ARG002 - the port's
        """Why."""
        return self.receive(seconds)

    def finish(self, request: bytes, seconds: float) -> Ended:  # noqa: ARG002 - the port's
        """Why."""
        return self.receive(seconds)

    def alive(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing to end."""
