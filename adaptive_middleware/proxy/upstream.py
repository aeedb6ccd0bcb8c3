"""The endpoint behind the proxy: requests in the client's own words, replies in the upstream's."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Self

import httpx2

from adaptive_middleware.config.upstream import Upstream as Written
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.proxy.headers import Headers, to_client, to_upstream
from adaptive_middleware.server.requests import Refused

_LARGEST, _CONNECT, _SHOWN = 64 << 20, 10.0, 200
_JSON = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply, for the client: connection headers are gone."""

    status: int
    headers: Headers
    body: bytes


class Unusable(SamplerError):
    """The upstream gave no answer: what it said instead is the client's to see."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        shown = reply.body[:_SHOWN].decode(errors="replace")
        super().__init__(f"the upstream answered HTTP {reply.status}: {shown}")

    @classmethod
    def because(cls, status: int, message: str) -> Self:
        """One that the proxy says itself, in the form of an OpenAI error."""
        body = json.dumps(Refused(status, message).body).encode()
        return cls(Reply(status, [_JSON], body))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asked: method, path (as sent, still quoted) with its query, headers."""

    method: str
    path: bytes
    query: bytes
    headers: Headers


def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64))


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where requests go: `key` is the endpoint's; `keep_key` says whether a client's own may be sent on instead.

    `timeout` is in seconds. `use_n` asks for several samples in one request.
    """

    base_url: str
    key: str | None = field(default=None, repr=False)
    keep_key: bool = True
    timeout: float = 600.0
    use_n: bool = False
    client: httpx2.AsyncClient = field(default_factory=_client, compare=False, repr=False)

    @classmethod
    def of(cls, written: Written, key: str | None, *, keyed: bool) -> Self:
        """As configured; `keyed` says whether the proxy itself asks its clients for a key."""
        return cls(written.base_url, key, not keyed, written.timeout, written.use_n)

    async def opened(self, asked: Asked, body: bytes, *, plain: bool) -> httpx2.Response:
        """The reply, its body not yet read; raises `Unusable` when none comes. `plain` forbids compression."""
        headers = to_upstream(asked.headers, key=self.key, keep_key=self.keep_key, plain=plain)
        waits = httpx2.Timeout(self.timeout, connect=min(_CONNECT, self.timeout))
        request = httpx2.Request(
            asked.method,
            self._url(asked),
            headers=list(headers),
            content=body or None,
            extensions={"timeout": waits.as_dict()},
        )
        try:
            return await self.client.send(request, stream=True, follow_redirects=False)
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise self.broken(error) from error

    async def whole(self, asked: Asked, body: bytes) -> Reply:
        """The whole reply; raises `Unusable` for any but a success."""
        reply = await self.opened(asked, body, plain=True)
        try:
            async with aclosing(reply):
                found = await self.read(reply)
        except httpx2.TransportError as error:
            raise self.broken(error) from error
        if not reply.is_success:
            raise Unusable(found)
        return found

    async def read(self, reply: httpx2.Response) -> Reply:
        """The rest of a reply; raises `Unusable` for one that is too large, and as httpx2."""
        content = bytearray()
        async for chunk in reply.aiter_raw():
            content += chunk
            if len(content) > _LARGEST:
                raise Unusable.because(502, f"the upstream's answer is larger than {_LARGEST} bytes")
        return Reply(reply.status_code, to_client(reply.headers.raw), self.redacted(bytes(content)))

    def broken(self, error: Exception) -> Unusable:
        """What a failed exchange means for the client."""
        if isinstance(error, httpx2.TimeoutException):
            return Unusable.because(504, f"the upstream did not answer in time ({type(error).__name__})")
        return Unusable.because(502, f"the upstream cannot be reached or broke off ({type(error).__name__})")

    def redacted(self, body: bytes) -> bytes:
        """The bytes without the endpoint's key, which some endpoints repeat in their errors."""
        return body if self.key is None else body.replace(self.key.encode(), b"***")

    def _url(self, asked: Asked) -> httpx2.URL:
        base = self.base_url.rstrip("/")
        path = asked.path.decode("ascii", errors="replace")
        if path.startswith("/v1/"):
            path = path.removeprefix("/v1")
        else:
            base = base.removesuffix("/v1")
        query = f"?{asked.query.decode('ascii', errors='replace')}" if asked.query else ""
        return httpx2.URL(f"{base}{path}{query}")
