"""The HTTP application: `/pooling` as vLLM has it, `/v1/models`, `/health` and `/metrics`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from adaptive_middleware.errors import ScorerError
from adaptive_middleware.scoring.computed import Computed, Engine
from adaptive_middleware.scoring.device import Stats
from adaptive_middleware.scoring.rows import Row
from adaptive_middleware.server.asked import failed, no_such_page, refused, unless_gone, whole_body
from adaptive_middleware.server.guard import Guard, digest
from adaptive_middleware.server.metrics import Metrics, metrics
from adaptive_middleware.server.pooling import Served, reply_of, rows_of
from adaptive_middleware.server.requests import PoolingRequest, Refused, parsed

_GONE = 499


class Counting(Engine, Protocol):
    """An engine that says what it did, and can be closed: `scoring.device.Device`."""

    @property
    def stats(self) -> Stats:
        """The counters, now."""
        ...

    def close(self) -> None:
        """Finish what is queued and end."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server takes: bytes of a body, seconds for it to arrive, and rows and their tokens not yet answered."""

    body_bytes: int = 8 << 20
    body_seconds: float = 30.0
    rows: int = 1024
    tokens: int = 1 << 20


@dataclass(slots=True)
class Pooling:
    """The handlers of one server; `held` and `held_tokens` count what was accepted and is not yet answered."""

    served: Served
    engine: Counting
    limits: Limits
    metrics: Metrics
    held: int = field(default=0, init=False)
    held_tokens: int = field(default=0, init=False)

    async def pooling(self, request: Request) -> Response:
        """Answer `POST /pooling`."""
        began, status = time.monotonic(), 500
        try:
            response = await self._answered(request)
            status = response.status_code
        except Refused as error:
            status = error.status
            raise
        finally:
            self.metrics.requests.labels(str(status)).inc()
            self.metrics.seconds.observe(time.monotonic() - began)
        return response

    async def _answered(self, request: Request) -> Response:
        body = await whole_body(request, most=self.limits.body_bytes, seconds=self.limits.body_seconds)
        asked, rows = await asyncio.to_thread(_understood, self.served, body)
        tokens = sum(len(row.ids) for row in rows)
        self._taken(len(rows), tokens)
        try:
            computed = await unless_gone(request, asyncio.wrap_future(self.engine.submit(rows)))
        except ScorerError as error:
            raise Refused(500, str(error)) from error
        finally:
            self._hold(-len(rows), -tokens)
        if computed is None:
            return Response(status_code=_GONE)
        self.metrics.rows.inc(len(rows))
        written = await asyncio.to_thread(_written, self.served, asked, rows, computed)
        return Response(written, media_type="application/json")

    def _taken(self, rows: int, tokens: int) -> None:
        most = f"at most {self.limits.rows} prompts of {self.limits.tokens} tokens in all"
        if rows > self.limits.rows or tokens > self.limits.tokens:
            message = f"{rows} prompts of {tokens} tokens in one request, {most} are taken: send fewer"
            raise Refused(400, message, "input")
        if self.held + rows > self.limits.rows or self.held_tokens + tokens > self.limits.tokens:
            message = (
                f"overloaded: {self.held} prompts of {self.held_tokens} tokens are waiting, {most} are taken"
            )
            raise Refused(503, message, retry_after=1)
        self._hold(rows, tokens)

    def _hold(self, rows: int, tokens: int) -> None:
        self.held, self.held_tokens = self.held + rows, self.held_tokens + tokens
        self.metrics.held.set(self.held)

    async def health(self, _request: Request) -> Response:
        """Answer `GET /health`."""
        return Response()

    async def models(self, _request: Request) -> Response:
        """Answer `GET /v1/models`."""
        card = {"id": self.served.name, "object": "model", "owned_by": "adaptive-middleware"}
        return JSONResponse({"object": "list", "data": [{**card, "max_model_len": self.served.window}]})

    async def numbers(self, _request: Request) -> Response:
        """Answer `GET /metrics`."""
        text = await asyncio.to_thread(generate_latest, self.metrics.registry)
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})


def application(
    served: Served, engine: Counting, *, key: str | None = None, limits: Limits | None = None
) -> ASGIApp:
    """The application; the engine is closed when it ends. With `key`, everything but `/health` needs it."""
    pooling = Pooling(served, engine, limits or Limits(), metrics(lambda: engine.stats))
    routes = [
        Route("/pooling", pooling.pooling, methods=["POST"]),
        Route("/v1/models", pooling.models),
        Route("/health", pooling.health),
        Route("/metrics", pooling.numbers),
    ]
    app = Starlette(
        routes=routes,
        lifespan=partial(_lifespan, close=engine.close),
        exception_handlers={Refused: refused, HTTPException: no_such_page, Exception: _failed},
    )
    return Guard(app, None if key is None else digest(key))


async def _failed(_request: Request, error: Exception) -> Response:
    return failed("the model", error)


@asynccontextmanager
async def _lifespan(_app: Starlette, *, close: Callable[[], None]) -> AsyncIterator[None]:
    yield
    await asyncio.to_thread(close)


def _understood(served: Served, body: bytes) -> tuple[PoolingRequest, list[Row]]:
    asked = parsed(body)
    return asked, rows_of(served, asked)


def _written(served: Served, asked: PoolingRequest, rows: list[Row], computed: Computed) -> bytes:
    return json.dumps(reply_of(served, asked, rows, computed), allow_nan=False).encode()
