"""Passing on: a request that is none of ours goes to the upstream as it is, and its reply comes back as it comes."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from adaptive_middleware.proxy.events import error_event, farewell
from adaptive_middleware.proxy.flowing import BrokenOff, Flowing
from adaptive_middleware.proxy.headers import to_client
from adaptive_middleware.proxy.upstream import Asked, Unusable, Upstream
from adaptive_middleware.transport.wire import RESPONSES, Wire, wire_of

_NUMBER = re.compile(rb'"sequence_number":\s*(\d+)')


async def relayed(upstream: Upstream, asked: Asked, body: bytes, *, plain: bool = False) -> Flowing:
    """The upstream's reply to the request, live and byte for byte; raises `Unusable` when none comes."""
    reply = await upstream.opened(asked, body, plain=plain)
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    compressed = reply.headers.get("content-encoding", "identity").lower() != "identity"
    relay = _Relay(upstream, reply, wire_of(asked.path.decode("latin-1")))
    ending: Callable[[], bytes] = bytes
    if not reply.is_success and not compressed:
        chunks = _redacted(upstream, reply)
    elif kind == "text/event-stream" and not compressed:
        chunks, ending = relay.events(), relay.farewell
    else:
        chunks = _as_it_comes(reply)
    return Flowing(
        reply.status_code,
        to_client(reply.headers.raw, rewritten=not reply.is_success),
        chunks,
        reply.aclose,
        ending,
    )


async def _as_it_comes(reply: httpx2.Response) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in reply.aiter_raw():
            yield chunk
    except httpx2.TransportError as error:
        raise BrokenOff from error


async def _redacted(upstream: Upstream, reply: httpx2.Response) -> AsyncGenerator[bytes, None]:
    try:
        content = b"".join([chunk async for chunk in reply.aiter_raw()])
    except httpx2.TransportError as error:
        raise BrokenOff from error
    yield upstream.redacted(content)


@dataclass(slots=True)
class _Relay:
    """A stream of events on its way; `line` is what has come of its last line, `last` the number of its last event."""

    upstream: Upstream
    reply: httpx2.Response
    wire: Wire
    line: bytes = b""
    last: int | None = None

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The stream; where it breaks off, what came of its last line is left out, and an error is the last event."""
        ended = True
        try:
            async for chunk in self.reply.aiter_raw():
                if lines := self._lines(chunk):
                    ended = lines.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
                    yield lines
        except httpx2.TransportError as error:
            said: Unusable = self.upstream.broken(error)
            message = f"the stream broke off: {type(error).__name__}"
            blank = b"" if ended else b"\n"
            yield blank + error_event(self.wire, said.reply.status, message, self._sent())
        else:
            if self.line:
                yield self.line

    def _lines(self, chunk: bytes) -> bytes:
        """The lines that `chunk` completes."""
        whole = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        lines = self.line + chunk[:whole] if whole else b""
        self.line = chunk[whole:] if whole else self.line + chunk
        if self.wire is RESPONSES and (numbers := _NUMBER.findall(lines)):
            self.last = int(numbers[-1])
        return lines

    def farewell(self) -> bytes:
        """What the client is told when the time to finish is over."""
        return farewell(self.wire, self._sent())

    def _sent(self) -> Sequence[Mapping[str, Any]]:
        return [] if self.last is None else [{"sequence_number": self.last}]
