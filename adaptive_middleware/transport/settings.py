"""Between the HTTP library and us: its requests as calls, forms as its requests, replies as its responses.

httpx2 and httpx name the same things the same way, so requests and responses are of whichever library the
transport belongs to.
"""

# ruff: noqa: ANN401 - requests and responses of either library

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from adaptive_middleware.errors import ConfigError, DeadlineExceeded
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.rules import Rule, every_call
from adaptive_middleware.sampling.fanout import MARGIN
from adaptive_middleware.strategies.pass_through import pass_through
from adaptive_middleware.transport.call import Call, Form, Headers, read_call
from adaptive_middleware.transport.replies import Reply
from adaptive_middleware.transport.result import OF_BODY

_EXTENSIONS = ("http_version", "reason_phrase")


class Library(Protocol):
    """What a transport needs of httpx2 or httpx."""

    @property
    def Request(self) -> type[Any]:  # noqa: N802 - the library's name
        """A request."""
        ...

    @property
    def Response(self) -> Callable[..., Any]:  # noqa: N802 - the library's name
        """Makes a response."""
        ...

    @property
    def ByteStream(self) -> Callable[[bytes], Any]:  # noqa: N802 - the library's name
        """Makes a body that is whole, yet read as a stream: only so a client measures the time that it took."""
        ...

    @property
    def TimeoutException(self) -> type[Exception]:  # noqa: N802 - the library's name
        """What is raised when a wait was too long."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What both drivers share: the middleware, the HTTP library, and the limits of one call.

    At most `max_concurrency` samples are under way at the same time; a stream that is silent for `idle` seconds is given up.
    """

    middleware: Middleware
    http: Library
    max_concurrency: int = 16
    idle: float = 60.0

    def call(self, request: Any, content: bytes) -> Call | None:
        """The call that a request is; None for one that is passed on; `ConfigError` for another library's request."""
        if not isinstance(request, self.http.Request):
            raise ConfigError(_foreign(type(request).__module__.partition(".")[0]))
        plain = request.headers.get("content-encoding", "identity") == "identity"
        return read_call(content, _named(request), request.url.path) if plain else None

    def passes(self, call: Call) -> bool:
        """Whether the call's rule leaves it as it is."""
        rule = self.middleware.rule(call.request)
        return rule.passes_through or (call.once and not rule.tools)

    def answering(self, call: Call) -> Middleware:
        """The middleware that answers the call."""
        return once(self.middleware.rule(call.request)) if call.once else self.middleware

    def passed_on(self, request: Any, call: Call) -> Any:
        """The client's request itself, unless some of its headers are for us alone."""
        return self.request(request, call.plain()) if call.labelled else request

    def request(self, request: Any, form: Form) -> Any:
        """The client's request with what is sent in its place; itself, if nothing is."""
        if form.own:
            return request
        extensions = {**request.extensions}
        if form.deadline is not None:
            extensions["timeout"] = _waits(extensions.get("timeout") or {}, form.deadline)
        headers, content = _raw(form.headers), form.content
        return self.http.Request(
            request.method, request.url, headers=headers, content=content, extensions=extensions
        )

    def response(self, reply: Reply, stream: Any = None) -> Any:
        """A reply as the library's own response, with its content or, live, a `stream`."""
        stream = self.http.ByteStream(reply.content) if stream is None else stream
        headers, extensions = _raw(reply.headers), dict(reply.extensions)
        return self.http.Response(reply.status, headers=headers, stream=stream, extensions=extensions)

    def too_late(self, error: Exception, form: Form) -> Exception:
        """What to raise for a wait that was too long: one that the deadline ended is no fault of the provider."""
        over = form.deadline is not None and time.monotonic() >= form.deadline - MARGIN
        return DeadlineExceeded("the sample had not finished at the call's deadline") if over else error

    def steps(self, call: Call) -> dict[str, Any]:
        """How the call's streams are read."""
        boundary = self.middleware.rule(call.request).boundary
        return {"boundary": boundary, "idle": self.idle, "max_concurrency": self.max_concurrency}


def once(rule: Rule) -> Middleware:
    """A middleware that draws one answer within the rule's limits, and withholds what its tools say: nothing makes it surer."""
    return Middleware(rules=(replace(rule, strategy=pass_through, when=every_call),))


def reply_of(response: Any, content: bytes | None = None) -> Reply:
    """A response that was read, decoded; without `content` its head."""
    found = response.extensions
    kept = {name: found[name] for name in _EXTENSIONS if name in found}
    decoded = [(name, value) for name, value in _named(response) if name.lower() not in OF_BODY]
    length = [] if content is None else [("content-length", str(len(content)))]
    return Reply(response.status_code, [*decoded, *length], content or b"", kept)


def _foreign(library: str) -> str:
    """What to do about a transport of one library in a client of the other, as after a change of the SDK's version."""
    where = f"adaptive_middleware.transport.{library}"
    return f"this client speaks {library}, its transport does not: import the transport from {where}"


def _waits(given: Mapping[str, float | None], deadline: float) -> dict[str, float]:
    """The client's longest waits, none longer than the deadline leaves."""
    left = max(deadline - time.monotonic(), 0.001)
    known = {name: given.get(name) for name in ("connect", "read", "write", "pool")}
    return {name: left if wait is None else min(wait, left) for name, wait in known.items()}


def _named(message: Any) -> list[tuple[str, str]]:
    """The headers of a request or response, spelled as they came."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.headers.raw]


def _raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
