"""One intercepted request: what of it the middleware sees, and what is sent for each of its samples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adaptive_middleware.transport.said import said
from adaptive_middleware.transport.wire import CHAT, FOREIGN, RESPONSES, Wire, wire_of
from adaptive_middleware.types import Request

Headers = Sequence[tuple[str, str]]

_OURS = "x-adaptive-"
_REMADE = ("content-length", "transfer-encoding")
_STREAM = ("stream", "stream_options")
_SPLIT = ("messages", "input", "tools", *_STREAM)


@dataclass(frozen=True, slots=True)
class Form:
    """What is sent for one sample: the body's bytes and the headers that do not follow from the body.

    No wait for it is longer than its `deadline` (`time.monotonic()`, seconds) leaves. `own` says that it is the
    client's own request in every respect, which then is sent itself.
    """

    content: bytes
    headers: Headers
    deadline: float | None = None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A completion that a client asked for: its bytes and headers, its JSON, and the request that it is.

    `wire` says whether it is one of chat completions or of the Responses API. `once` says that it must not be drawn
    several times: only the rules of tools are for it.
    """

    content: bytes
    headers: Headers
    body: Mapping[str, Any]
    request: Request
    wire: Wire = CHAT
    once: bool = False

    @property
    def streams(self) -> bool:
        """Whether the client waits for a stream of events."""
        return self.body.get("stream") is True

    @property
    def counts(self) -> bool:
        """Whether the client's stream is to end with the usage; a response's always does."""
        options = self.body.get("stream_options")
        asked = isinstance(options, Mapping) and options.get("include_usage") is True
        return self.streams and (asked or self.wire is RESPONSES)

    @property
    def labelled(self) -> bool:
        """Whether the client's headers have some that are for us alone."""
        return any(name.lower().startswith(_OURS) for name, _ in self.headers)

    def plain(self) -> Form:
        """The client's own bytes, and its headers without those that are for us."""
        return Form(self.content, self._headers(0))

    def form(self, request: Request, number: int) -> Form:
        """What to send for sample `number` (from 0) of `request`, as a strategy asks for it, answered in one piece.

        The client's own bytes, wherever nothing must change. What may: the parameters that the strategy set; of a
        client that waits for a stream `stream` and `stream_options`, which are left out; and for all samples but the
        first `seed` and the header `Idempotency-Key`, to which `number` is added: with the client's own they would all
        be the same answer.
        """
        dropped = [name for name in _STREAM if name in self.body] if self.streams else []
        return self._form(request, self._seed(number), dropped, number)

    def streamed(self, request: Request, number: int) -> Form:
        """As `form`, for an answer that is streamed with its usage."""
        options = {**(self.body.get("stream_options") or {}), "include_usage": True}
        counting = {} if self.wire is RESPONSES else {"stream_options": options}
        stream = {} if self.counts else {"stream": True, **counting}
        return self._form(request, {**self._seed(number), **stream}, (), number)

    def _form(
        self, request: Request, changed: Mapping[str, object], dropped: Sequence[str], number: int
    ) -> Form:
        content, changed = self.content, {**self._set_by(request), **changed}
        if changed or dropped:
            kept = {name: value for name, value in self.body.items() if name not in dropped}
            content = written({**kept, **changed})
        own = content is self.content and number == 0 and request.deadline is None and not self.labelled
        return Form(content, () if own else self._headers(number), request.deadline, own)

    def _set_by(self, request: Request) -> dict[str, object]:
        """The parameters that a strategy has added or changed, and the messages where it has added some."""
        ours, changed = self.request.parameters, said(self.body, request)
        if request.parameters is ours:
            return changed
        return {**changed, **{k: v for k, v in request.parameters.items() if k not in ours or ours[k] != v}}

    def _seed(self, number: int) -> dict[str, int]:
        seed = self.body.get("seed")
        return {"seed": seed + number} if number and isinstance(seed, int) else {}

    def _headers(self, number: int) -> list[tuple[str, str]]:
        return [
            (name, f"{value}-{number}" if number and name.lower() == "idempotency-key" else value)
            for name, value in self.headers
            if name.lower() not in _REMADE and not name.lower().startswith(_OURS)
        ]


def relevant(method: str, path: str) -> bool:
    """Whether a request asks for a chat completion, or for a response of the Responses API."""
    return method == "POST" and path.endswith(("/chat/completions", "/responses"))


def read_call(content: bytes, headers: Headers, path: str = "/chat/completions") -> Call | None:
    """The call that a relevant request to `path` is; None for one to be passed on as it is.

    That is whatever is not a JSON object with messages or input, a request for several choices (its client wants
    them all), and a response that runs in the background.
    The headers `x-adaptive-tags` (comma-separated) and `x-adaptive-call-site` are for rules to look at.
    """
    wire = wire_of(path)
    try:
        body = json.loads(content)
        text = wire.question(body)
        if text is None and (wire is CHAT or body.get("background")):
            return None
        return Call(content, headers, body, _request(text or "", body, headers, wire), wire, text is None)
    except FOREIGN:
        return None


def _request(text: str, body: Mapping[str, Any], headers: Headers, wire: Wire) -> Request:
    named = {name.lower(): value for name, value in headers}
    tags = (tag.strip() for tag in named.get("x-adaptive-tags", "").split(","))
    model = body.get("model")
    given = body[wire.asked]
    return Request(
        text,
        messages=(given,) if isinstance(given, str) else given,
        tools=body.get("tools") or (),
        parameters={name: value for name, value in body.items() if name not in _SPLIT},
        tags=frozenset(tag for tag in tags if tag),
        model=model if isinstance(model, str) else None,
        call_site=named.get("x-adaptive-call-site"),
    )


def written(body: Mapping[str, Any]) -> bytes:
    """A body's bytes, as the SDK writes them."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
