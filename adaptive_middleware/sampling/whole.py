"""One whole reply of an endpoint: bounded in size, never decompressed, and not waited for beyond the call's deadline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx2

from adaptive_middleware.deadline import Deadline
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.endpoint import Busy, Endpoint, unreachable

_LARGEST = 64 << 20


class ReplyTooLong(SamplerError):
    """An endpoint's reply is larger than may be kept in memory."""

    code = "AMW-E315"
    remedy = "Check that the address is that of an OpenAI-compatible endpoint."


def posted(
    client: httpx2.Client, url: str, body: Mapping[str, Any], place: Endpoint, deadline: float | None
) -> httpx2.Response:
    """The reply to a JSON body, read to its end; raises `Busy` for a broken connection or a time-out."""
    ends = Deadline(deadline)
    read = bytearray()
    try:
        with client.stream("POST", url, **_form(body, place, ends)) as reply:
            for chunk in reply.iter_raw():
                _grown(read, chunk, url, ends)
    except (httpx2.InvalidURL, httpx2.TransportError) as error:
        raise unreachable(url, error) from error
    return _kept(reply, read)


async def aposted(
    client: httpx2.AsyncClient, url: str, body: Mapping[str, Any], place: Endpoint, deadline: float | None
) -> httpx2.Response:
    """As `posted`, for event loops."""
    ends = Deadline(deadline)
    read = bytearray()
    try:
        async with client.stream("POST", url, **_form(body, place, ends)) as reply:
            async for chunk in reply.aiter_raw():
                _grown(read, chunk, url, ends)
    except (httpx2.InvalidURL, httpx2.TransportError) as error:
        raise unreachable(url, error) from error
    return _kept(reply, read)


def _form(body: Mapping[str, Any], place: Endpoint, ends: Deadline) -> dict[str, Any]:
    headers = {**place.headers, "accept-encoding": "identity"}
    sent = json.dumps(body).encode()  # escaped: a lone surrogate of a model cannot break it
    return {"content": sent, "headers": headers, "timeout": max(ends.within(place.timeout), 0.001)}


def _grown(read: bytearray, chunk: bytes, url: str, ends: Deadline) -> None:
    read += chunk
    if len(read) > _LARGEST:
        message = f"{url} answered with more than {_LARGEST} bytes: is it an OpenAI-compatible endpoint?"
        raise ReplyTooLong(message)
    if ends.left() == 0:
        message = "the reply had not ended"
        raise Busy(message)


def _kept(reply: httpx2.Response, read: bytearray) -> httpx2.Response:
    kept = [(name, value) for name, value in reply.headers.multi_items() if name != "content-encoding"]
    return httpx2.Response(reply.status_code, headers=kept, content=bytes(read), request=reply.request)
