"""The proxy's application: chat completions and responses by policy, everything else passed on to the upstream as it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from adaptive_middleware.config import Plan
from adaptive_middleware.errors import (
    AdaptiveError,
    BudgetError,
    BudgetExhausted,
    BudgetUnavailable,
    PriceUnknown,
)
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.proxy.body import Body, NotAnObject
from adaptive_middleware.proxy.drawing import Drawing
from adaptive_middleware.proxy.flowing import Flowing
from adaptive_middleware.proxy.metrics import Metrics, metrics
from adaptive_middleware.proxy.policies import named, understood
from adaptive_middleware.proxy.relay import relayed
from adaptive_middleware.proxy.replies import Whole, answered
from adaptive_middleware.proxy.requests import guarded, question_of
from adaptive_middleware.proxy.streaming import Streams
from adaptive_middleware.proxy.upstream import Asked, Reply, Unusable, Upstream
from adaptive_middleware.proxy.writing import Writing, head_of, shown
from adaptive_middleware.reloading import Followed
from adaptive_middleware.server.asked import failed, no_such_page, refused, unless_gone, whole_body
from adaptive_middleware.server.guard import Guard, digest
from adaptive_middleware.server.requests import Refused
from adaptive_middleware.transport.settings import once
from adaptive_middleware.transport.wire import wire_of
from adaptive_middleware.types import Request as Call

_GONE, _LOOKS = 499, 1.0
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Handler: TypeAlias = Callable[[Asked, bytes], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a proxy takes: bytes of a body, and seconds for it to arrive."""

    body_bytes: int = 32 << 20
    body_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """The handlers of one proxy."""

    middleware: Middleware
    upstream: Upstream
    limits: Limits
    metrics: Metrics

    async def answer(self, request: Request) -> Response:
        """Answer `POST /v1/chat/completions` or `POST /v1/responses`."""
        return await self._counted(request, self._answer)

    async def other(self, request: Request) -> Response:
        """Pass any other request on."""
        return await self._counted(request, partial(relayed, self.upstream))

    async def health(self, _request: Request) -> Response:
        """Answer `GET /health`."""
        return Response()

    async def numbers(self, _request: Request) -> Response:
        """Answer `GET /metrics`."""
        text = await asyncio.to_thread(generate_latest, self.metrics.registry)
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    def following(self, path: str) -> Followed:
        """The configuration file whose changes are taken on while calls go on."""
        apply = partial(self.middleware.reload, arranged=lambda plan: named(plan, self.metrics))
        return Followed(path, apply, lambda result: self.metrics.reloads.labels(result).inc())

    async def _counted(self, request: Request, handle: Handler) -> Response:
        began, status = time.monotonic(), 500
        try:
            with self.metrics.in_flight.track_inprogress():
                response = await self._handled(request, handle)
            status = response.status_code
        except Refused as error:
            status = error.status
            raise
        finally:
            self.metrics.requests.labels(str(status)).inc()
            self.metrics.seconds.observe(time.monotonic() - began)
        return response

    async def _handled(self, request: Request, handle: Handler) -> Response:
        asked = _asked(request)
        body = await whole_body(request, most=self.limits.body_bytes, seconds=self.limits.body_seconds)
        try:
            response = await unless_gone(request, asyncio.ensure_future(handle(asked, body)))
        except Unusable as error:
            return _written(error.reply)
        except BudgetError as error:
            raise Refused(_status(error), f"{type(error).__name__}: {error}") from error
        except AdaptiveError as error:
            raise Refused(502, f"{type(error).__name__}: {error}") from error
        if response is None:
            self.metrics.gone.inc()
            return Response(status_code=_GONE)
        return response

    async def _answer(self, asked: Asked, written: bytes) -> Response:
        try:
            body = Body.read(written)
        except NotAnObject as error:
            raise Refused(400, str(error)) from error
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in asked.headers}
        wire = wire_of(asked.path.decode("latin-1"))
        call = understood(body.values, headers, self.middleware.rules, wire)
        rule = self.middleware.rule(call)
        drawing = Drawing(self.upstream, asked, body, wire, rule.boundary)
        middleware = self.middleware
        if question_of(body.values, wire) is None:
            middleware = once(rule) if guarded(body.values, rule, wire) else Middleware()
        if middleware.rule(call).passes_through:
            return await relayed(self.upstream, asked, drawing.next_body(call), plain=True)
        answer = self._streamed if body.values.get("stream") else self._drawn
        return await answer(middleware, call, drawing)

    async def _drawn(self, middleware: Middleware, call: Call, drawing: Drawing) -> Response:
        outcome = await middleware.arun(call, drawing)
        self.metrics.called(outcome)
        drawn = outcome.chosen.raw
        if middleware.rule(call).shadow and isinstance(drawn, Whole):
            return _written(drawn.reply)
        return _written(answered(outcome, drawing.replies, drawing.wire))

    async def _streamed(self, middleware: Middleware, call: Call, drawing: Drawing) -> Response:
        streams = Streams(drawing)
        watched = middleware.astream(call, streams, streamer=streams.streamer)
        first = await shown(watched)
        writing = Writing(streams, self.metrics.called)
        rule = middleware.rule(call)
        head = head_of(first, None if rule.shadow else rule.name)
        return Flowing(200, head, writing.chunks(first, watched), watched.aclose, writing.farewell)


def application(
    plan: Plan,
    upstream: Upstream,
    *,
    key: str | None = None,
    limits: Limits | None = None,
    follow: str | None = None,
) -> ASGIApp:
    """The application; with `key`, everything but `/health` needs it; `follow` is a configuration file to reload."""
    counted = metrics()
    proxy = Proxy(Middleware.of(named(plan, counted)), upstream, limits or Limits(), counted)
    reloads = proxy.following(follow) if follow else None
    routes = [
        Route("/v1/chat/completions", proxy.answer, methods=["POST"]),
        Route("/v1/responses", proxy.answer, methods=["POST"]),
        Route("/health", proxy.health),
        Route("/metrics", proxy.numbers),
        Route("/{path:path}", proxy.other, methods=_METHODS),
    ]
    app = Starlette(
        routes=routes,
        lifespan=partial(_lifespan, close=upstream.client.aclose, reloads=reloads),
        exception_handlers={Refused: refused, HTTPException: no_such_page, Exception: _failed},
    )
    return Guard(app, None if key is None else digest(key))


async def _failed(_request: Request, error: Exception) -> Response:
    return failed("the proxy", error)


@asynccontextmanager
async def _lifespan(
    _app: Starlette, *, close: Callable[[], Coroutine[Any, Any, None]], reloads: Followed | None
) -> AsyncIterator[None]:
    looking = asyncio.ensure_future(_looked(reloads))
    yield
    looking.cancel()
    await asyncio.wait({looking})
    await close()


async def _looked(reloads: Followed | None) -> None:
    while reloads is not None:
        await asyncio.sleep(_LOOKS)
        await asyncio.to_thread(reloads.look)


def _asked(request: Request) -> Asked:
    """The request's head; raises `Refused` for a path that would climb out of the upstream's."""
    scope = request.scope
    path: bytes = scope["raw_path"]
    segments = path.lower().replace(b"%2e", b".").replace(b"%2f", b"/").replace(b"\\", b"/").split(b"/")
    if b".." in segments or b"." in segments:
        message = "the path has a segment of dots: send the address that is meant"
        raise Refused(400, message)
    return Asked(request.method, path, scope["query_string"], request.headers.raw)


def _written(reply: Reply) -> Response:
    response = Response(reply.body, reply.status)
    own = [pair for pair in reply.headers if pair[0].lower() != b"content-length"]
    response.raw_headers = [*own, (b"content-length", b"%d" % len(reply.body))]
    return response


def _status(error: BudgetError) -> int:
    """Which status says that a budget is used up, that none can be counted, or that the call's time is."""
    if isinstance(error, (BudgetExhausted, PriceUnknown)):
        return 429
    return 503 if isinstance(error, BudgetUnavailable) else 504
