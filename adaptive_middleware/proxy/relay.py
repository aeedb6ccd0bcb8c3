"""Passing on: a request that is none of ours goes to the upstream as it is, and its reply comes back as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx2

from adaptive_middleware.proxy.events import FAREWELL, error_event
from adaptive_middleware.proxy.flowing import BrokenOff, Flowing
from adaptive_middleware.proxy.headers import to_client
from adaptive_middleware.proxy.upstream import Asked, Unusable, Upstream


async def relayed(upstream: Upstream, asked: Asked, body: bytes, *, plain: bool = False) -> Flowing:
    """The upstream's reply to the request, live and byte for byte; raises `Unusable` when none comes."""
    reply = await upstream.opened(asked, body, plain=plain)
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    compressed = reply.headers.get("content-encoding", "identity").lower() != "identity"
    farewell = b""
    if not reply.is_success and not compressed:
        chunks = _redacted(upstream, reply)
    elif kind == "text/event-stream" and not compressed:
        chunks, farewell = _events(upstream, reply), FAREWELL
    else:
        chunks = _as_it_comes(reply)
    return Flowing(
        reply.status_code,
        to_client(reply.headers.raw, rewritten=not reply.is_success),
        chunks,
        reply.aclose,
        farewell,
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


async def _events(upstream: Upstream, reply: httpx2.Response) -> AsyncGenerator[bytes, None]:
    """The stream; where it breaks off, what came of its last line is left out, and an error is the last event."""
    line, ended = b"", True
    try:
        async for chunk in reply.aiter_raw():
            whole = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
            if whole:
                ended = (line + chunk[:whole]).endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
                yield line + chunk[:whole]
                line = b""
            line += chunk[whole:]
    except httpx2.TransportError as error:
        said: Unusable = upstream.broken(error)
        blank = b"" if ended else b"\n"
        yield blank + error_event(said.reply.status, f"the stream broke off: {type(error).__name__}")
    else:
        if line:
            yield line
