"""The application: the pages, their style and script, and a stream that says when something changed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path as File

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from adaptive_middleware.errors import TraceError, UnknownCall
from adaptive_middleware.server.guard import Guard, digest
from adaptive_middleware.trace.reading import one
from adaptive_middleware.trace.schema import open_to_read
from adaptive_middleware.view.asked import asked
from adaptive_middleware.view.call_page import of_call
from adaptive_middleware.view.figures import figures
from adaptive_middleware.view.html import page, text
from adaptive_middleware.view.overview import overview
from adaptive_middleware.view.spend import UNSEEN, Budgets, spend

LOOK_SECONDS, WATCHERS = 1.0, 16
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(slots=True)
class View:
    """The handlers for one store and the budgets beside it; `watching` are the open streams of changes."""

    store: File
    seconds: float = LOOK_SECONDS
    budgets: Budgets = UNSEEN
    watching: int = 0

    async def index(self, request: Request) -> Response:
        """Answer `GET /`, with filters or without."""
        search = asked(request.query_params)
        return await _page(
            lambda: overview(figures(self.store, search=search), str(self.store), spend(self.budgets))
        )

    async def call(self, request: Request) -> Response:
        """Answer `GET /calls/ID`."""
        return await _page(lambda: of_call(one(self.store, request.path_params["id"])))

    async def events(self, _request: Request) -> Response:
        """Answer `GET /events`: an event `changed` each time the store was written, or a budget moved."""
        if self.watching >= WATCHERS:
            return Response(f"{WATCHERS} pages are open already", 503, HEADERS)
        return StreamingResponse(self._changes(), headers=HEADERS, media_type="text/event-stream")

    async def _changes(self) -> AsyncIterator[str]:
        self.watching += 1
        try:
            with closing(open_to_read(self.store)) as connection:
                yield "retry: 2000\n\n"
                seen = await self._state(connection)
                while True:
                    await asyncio.sleep(self.seconds)
                    now = await self._state(connection)
                    yield ": \n\n" if now == seen else "event: changed\ndata: \n\n"
                    seen = now
        except (TraceError, sqlite3.Error):
            return  # the page asks again by itself, and is told then
        finally:
            self.watching -= 1

    async def _state(self, connection: sqlite3.Connection) -> object:
        """What differs as soon as there is something new to show."""
        moved = None if self.budgets.looking is None else await asyncio.to_thread(spend, self.budgets)
        return _version(connection), moved and moved.marks


def application(
    store: File,
    *,
    key: str | None = None,
    seconds: float = LOOK_SECONDS,
    budgets: Budgets = UNSEEN,
) -> ASGIApp:
    """The application for a store, and for the budgets that are counted elsewhere; with `key`, it is asked for."""
    view = View(store, seconds, budgets)
    routes = [
        Route("/", view.index),
        Route("/calls/{id}", view.call),
        Route("/events", view.events),
        Route("/view.css", _static("view.css", "text/css")),
        Route("/view.js", _static("view.js", "text/javascript")),
    ]
    return Guard(Starlette(routes=routes), None if key is None else digest(key))


def _version(connection: sqlite3.Connection) -> int:
    """A number that changes when another connection writes; asking is a few microseconds, so the loop may wait."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


async def _page(make: Callable[[], str]) -> Response:
    """The page, or what is wrong as one."""
    status = 200
    try:
        made = await asyncio.to_thread(make)
    except TraceError as error:
        status = 404 if isinstance(error, UnknownCall) else 503
        made = page(
            "Not shown",
            [f'<main><h1>Not shown</h1><p>{text(error)}</p><p><a href="/">All calls</a></p></main>'],
        )
    return Response(made.encode("utf-8", "replace"), status, HEADERS, "text/html; charset=utf-8")


def _static(name: str, kind: str) -> Callable[[Request], Response]:
    content = files("adaptive_middleware.view").joinpath(name).read_bytes()

    def answer(_request: Request) -> Response:
        return Response(content, 200, HEADERS, f"{kind}; charset=utf-8")

    return answer
