"""The two drivers of a transport: requests in, replies out, for threads and for event loops, whichever HTTP library it is.

httpx2 and httpx name the same things the same way, so requests and responses are of whichever library the
transport belongs to; `http` is that library. Everything that does not send is elsewhere, and shared.
"""

# ruff: noqa: ANN401 - requests and responses of either library

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Any, Protocol

from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.transport.call import Call, Form, Headers, read_call, relevant
from adaptive_middleware.transport.replies import Reply
from adaptive_middleware.transport.result import failure, result
from adaptive_middleware.transport.sampler import AsyncReplySampler, ReplySampler

_EXTENSIONS = ("http_version", "reason_phrase")
_CODED = ("content-encoding", "content-length", "transfer-encoding")


class Library(Protocol):
    """What a transport needs of httpx2 or httpx."""

    @property
    def Request(self) -> Callable[..., Any]:  # noqa: N802 - the library's name
        """Makes a request."""
        ...

    @property
    def Response(self) -> Callable[..., Any]:  # noqa: N802 - the library's name
        """Makes a response."""
        ...

    @property
    def ByteStream(self) -> Callable[[bytes], Any]:  # noqa: N802 - the library's name
        """Makes a body that is whole, yet read as a stream: only so a client measures the time that it took."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What both drivers share: the middleware, the HTTP library, and how many samples of a call may be under way."""

    middleware: Middleware
    http: Library
    max_concurrency: int = 16

    def call(self, request: Any, content: bytes) -> Call | None:
        """The call that a request is; None for one that is passed on."""
        return read_call(content, _named(request)) if _plain(request) else None

    def passes(self, call: Call) -> bool:
        """Whether the call's rule leaves it as it is."""
        return call.streams or self.middleware.rule(call.request).passes_through

    def passed_on(self, request: Any, call: Call) -> Any:
        """The client's request itself, unless some of its headers are for us alone."""
        return self.request(request, call.plain()) if call.labelled else request

    def request(self, request: Any, form: Form) -> Any:
        """The client's request with what is sent in its place."""
        extensions = dict(request.extensions)
        headers, content = _raw(form.headers), form.content
        return self.http.Request(
            request.method, request.url, headers=headers, content=content, extensions=extensions
        )

    def response(self, reply: Reply) -> Any:
        """A reply as the library's own response."""
        stream, extensions = self.http.ByteStream(reply.content), dict(reply.extensions)
        headers = _raw(reply.headers)
        return self.http.Response(reply.status, headers=headers, stream=stream, extensions=extensions)


@dataclass(frozen=True, slots=True)
class Exchange:
    """Answers requests from the thread that asks; `inner` sends them."""

    settings: Settings
    inner: Callable[[Any], Any]

    def response(self, request: Any) -> Any:
        """The response to a request."""
        if not relevant(request.method, request.url.path):
            return self.inner(request)
        call = self.settings.call(request, request.read())
        if call is None:
            return self.inner(request)
        if self.settings.passes(call):
            return self.inner(self.settings.passed_on(request, call))
        try:
            return self.settings.response(self._answered(request, call))
        except AdaptiveError as error:
            return self.settings.response(failure(error))

    def _answered(self, request: Any, call: Call) -> Reply:
        def send(form: Form) -> Reply:
            with closing(self.inner(self.settings.request(request, form))) as response:
                return _reply(response, response.read())

        sampler = ReplySampler(call, send, self.settings.max_concurrency)
        return result(self.settings.middleware.run(call.request, sampler), sampler.drawn)


@dataclass(frozen=True, slots=True)
class AsyncExchange:
    """As `Exchange`, on the event loop that asks."""

    settings: Settings
    inner: Callable[[Any], Awaitable[Any]]

    async def response(self, request: Any) -> Any:
        """The response to a request."""
        if not relevant(request.method, request.url.path):
            return await self.inner(request)
        call = self.settings.call(request, await request.aread())
        if call is None:
            return await self.inner(request)
        if self.settings.passes(call):
            return await self.inner(self.settings.passed_on(request, call))
        try:
            return self.settings.response(await self._answered(request, call))
        except AdaptiveError as error:
            return self.settings.response(failure(error))

    async def _answered(self, request: Any, call: Call) -> Reply:
        async def send(form: Form) -> Reply:
            async with aclosing(await self.inner(self.settings.request(request, form))) as response:
                return _reply(response, await response.aread())

        sampler = AsyncReplySampler(call, send, self.settings.max_concurrency)
        return result(await self.settings.middleware.arun(call.request, sampler), sampler.drawn)


def _plain(request: Any) -> bool:
    """Whether the body is not compressed."""
    return bool(request.headers.get("content-encoding", "identity") == "identity")


def _reply(response: Any, content: bytes) -> Reply:
    """A response that was read, decoded."""
    found = response.extensions
    kept = {name: found[name] for name in _EXTENSIONS if name in found}
    decoded = [(name, value) for name, value in _named(response) if name.lower() not in _CODED]
    return Reply(response.status_code, [*decoded, ("content-length", str(len(content)))], content, kept)


def _named(message: Any) -> list[tuple[str, str]]:
    """The headers of a request or response, spelled as they came."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.headers.raw]


def _raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
