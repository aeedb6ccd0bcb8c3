"""Adaptive transports for httpx clients: OpenAI SDK 1 and 2 and whatever else speaks httpx."""

from __future__ import annotations

import httpx

from adaptive_middleware.middleware import Middleware
from adaptive_middleware.transport.exchange import AsyncExchange, Exchange
from adaptive_middleware.transport.live import AsyncLive, Live
from adaptive_middleware.transport.settings import Settings

__all__ = ["AdaptiveTransport", "AsyncAdaptiveTransport"]

_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)


class _Live(Live, httpx.SyncByteStream):
    """A live body for clients."""


class _AsyncLive(AsyncLive, httpx.AsyncByteStream):
    """A live body for asynchronous clients."""


class AdaptiveTransport(httpx.BaseTransport):
    """Answers chat completions and responses with as many samples as `middleware` decides; whatever else passes through untouched.

        OpenAI(http_client=DefaultHttpxClient(transport=AdaptiveTransport(middleware)))

    `inner` sends what is sent (default: an `HTTPTransport` with the SDK's limits of connections); it is closed with
    this transport. At most `max_concurrency` samples of a call are under way at the same time;
    streams that are read step by step are given up after `idle` seconds of silence.
    """

    def __init__(
        self,
        middleware: Middleware,
        inner: httpx.BaseTransport | None = None,
        *,
        max_concurrency: int = 16,
        idle: float = 60.0,
    ) -> None:
        self._inner = httpx.HTTPTransport(limits=_LIMITS) if inner is None else inner
        settings = Settings(middleware, httpx, max_concurrency, idle)
        self._exchange = Exchange(settings, self._inner.handle_request, _Live)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The response: the winner's own, with the cost of all samples."""
        response: httpx.Response = self._exchange.response(request)
        return response

    def close(self) -> None:
        """Close `inner`."""
        self._inner.close()


class AsyncAdaptiveTransport(httpx.AsyncBaseTransport):
    """As `AdaptiveTransport`, for asynchronous clients."""

    def __init__(
        self,
        middleware: Middleware,
        inner: httpx.AsyncBaseTransport | None = None,
        *,
        max_concurrency: int = 16,
        idle: float = 60.0,
    ) -> None:
        self._inner = httpx.AsyncHTTPTransport(limits=_LIMITS) if inner is None else inner
        settings = Settings(middleware, httpx, max_concurrency, idle)
        self._exchange = AsyncExchange(settings, self._inner.handle_async_request, _AsyncLive)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The response: the winner's own, with the cost of all samples."""
        response: httpx.Response = await self._exchange.response(request)
        return response

    async def aclose(self) -> None:
        """Close `inner`."""
        await self._inner.aclose()
