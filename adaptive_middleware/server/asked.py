"""What a handler needs of a connection: its body within limits, whether the client is still there, and errors as JSON."""

from __future__ import annotations

import asyncio
from typing import TypeVar, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from adaptive_middleware.server.requests import Refused

T = TypeVar("T")


async def whole_body(request: Request, *, most: int, seconds: float) -> bytes:
    """The whole body; raises `Refused` when it has more than `most` bytes (413) or does not arrive in time (408)."""
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    message = f"the body is larger than {most} bytes: send less in one request"
                    raise Refused(413, message)
    except TimeoutError as error:
        message = f"the body did not arrive within {seconds:g} seconds"
        raise Refused(408, message) from error
    return bytes(body)


async def unless_gone(request: Request, work: asyncio.Future[T]) -> T | None:
    """What `work` makes; None, and the work cancelled and over, when the client goes away before.

    The body must have been read: what the connection says next is then its end.
    """
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        gone.cancel()
        work.cancel()
        await asyncio.wait((gone, work))
        _ = work.cancelled() or work.exception()  # after the client has gone, an error is nobody's


async def refused(_request: Request, error: Exception) -> Response:
    """The reply to a `Refused`."""
    said = cast("Refused", error)
    headers = None if said.retry_after is None else {"retry-after": str(said.retry_after)}
    return JSONResponse(said.body, said.status, headers)


async def no_such_page(_request: Request, error: Exception) -> Response:
    """The reply where starlette finds no route or method."""
    missing = cast("HTTPException", error)
    said = Refused(missing.status_code, missing.detail)
    return JSONResponse(said.body, missing.status_code, missing.headers)


def failed(what: str, error: Exception) -> Response:
    """The reply to an error of our own: its type, never its text."""
    body = Refused(500, f"{what} failed: {type(error).__name__}").body
    return JSONResponse(body, 500, {"connection": "close"})  # starlette raises again, and uvicorn hangs up
