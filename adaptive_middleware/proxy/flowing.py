"""A response that flows: bytes go on as they come, and the source is closed the moment the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from adaptive_middleware.proxy.headers import Headers


class BrokenOff(Exception):
    """The rest of a body will not come; the client is told by the end of its connection."""


class Flowing(Response):
    """`chunks` as the body; `close` is awaited in the end, however it comes. The request's own body must have been read.

    `farewell` makes what a client that still listens is told when the server stops before the end.
    """

    def __init__(
        self,
        status: int,
        headers: Headers,
        chunks: AsyncGenerator[bytes, None],
        close: Callable[[], Awaitable[object]],
        farewell: Callable[[], bytes] = bytes,
    ) -> None:
        self.status_code, self.raw_headers, self.background = status, list(headers), None
        self._begun = False
        self._chunks, self._close, self._farewell = chunks, close, farewell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all, unless the client goes away before."""
        del scope
        sending = asyncio.ensure_future(self._sent(send))
        gone = asyncio.ensure_future(receive())
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        except asyncio.CancelledError:
            if self._begun and not sending.done() and (last := self._farewell()):
                sending.cancel()  # the server has no patience left to wait for that: a second order follows at once
                await send({"type": "http.response.body", "body": last, "more_body": False})
            raise
        finally:
            gone.cancel()
            sending.cancel()
            await asyncio.wait((sending, gone))
            _ = sending.cancelled() or sending.exception()
            await self._close()

    async def _sent(self, send: Send) -> None:
        async with aclosing(self._chunks) as chunks:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            self._begun = True
            try:
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except BrokenOff:
                return  # without the last chunk: uvicorn closes the connection
            await send({"type": "http.response.body", "body": b"", "more_body": False})
