"""Answers that are certainly wrong: tests that all of them pass would pass anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adaptive_middleware.verify.sandbox.codec import from_bytes, to_bytes
from adaptive_middleware.verify.sandbox.limits import Ended


@dataclass(slots=True)
class Stub:
    """The `Session` of an answer that defines every name, and gives one `reply` to all that is asked of it."""

    reply: bytes
    _sent: bytes = b""

    def send(self, request: bytes) -> None:
        """Keep the request."""
        self._sent = request

    def receive(self, seconds: float) -> bytes | Ended:
        """See `ask`."""
        return self.ask(self._sent, seconds)

    def ask(self, request: bytes, seconds: float) -> bytes | Ended:  # noqa: ARG002 - the port's
        """The reply; that the code is loaded; or every name that was asked for."""
        what, *arguments = from_bytes(request, lambda _: None)
        if what != "names":
            return b"VN" if what == "load" else self.reply
        return b"V" + to_bytes((dict.fromkeys(arguments[0], self), {}), lambda _: 0)

    def finish(self, request: bytes, seconds: float) -> Ended:  # noqa: ARG002 - the port's
        """Nothing: a stub is no program."""
        return Ended("ended")

    def alive(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Nothing to end."""


def stubs() -> Iterator[Stub]:
    """Functions that return None, that return an odd number, and that raise `NotImplementedError`."""
    yield Stub(b"V" + to_bytes(None))
    yield Stub(b"V" + to_bytes(7_919))
    yield Stub(b"E" + to_bytes(("NotImplementedError", "NotImplementedError", "", 0)))
