"""Server-sent events from bytes, strictly: bounded, UTF-8 or an error, and nothing waits here.

httpx2's own reader replaces bytes that are not UTF-8 and knows no byte-order mark, so a garbled stream would pass
for text; this one is fed the same bytes by a thread or by an event loop.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping
from typing import Any

from adaptive_middleware.errors import SamplerError

_SHOWN = 200
DONE = "[DONE]"


class MalformedStream(SamplerError):
    """A streamed answer is not what the protocol says; the message shows where."""

    code = "AMW-E312"
    remedy = "Check that the address is that of an OpenAI-compatible endpoint, and that no proxy changes its replies."


class Events:
    r"""Gives out the data of every event once its blank line has come; comments and other fields are skipped.

    Raises `MalformedStream` for bytes that are not UTF-8, and for an event of more than `most` characters before
    it is kept. Lines end with LF, CR or CRLF, wherever chunks are cut.

    >>> events = Events()
    >>> [list(events.feed(chunk)) for chunk in (b'data: {"a"', b': 1}\r\n', b'\r\n: ping\n\n')]
    [[], [], ['{"a": 1}']]
    """

    def __init__(self, most: int = 2**20) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._most = most
        self._line: list[str] = []
        self._data: list[str] = []
        self._held = 0
        self._after_cr = False

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The data of the events that `chunk` completes."""
        for start in range(0, len(chunk), self._most):
            yield from self._read(self._text(chunk[start : start + self._most]))

    def end(self) -> Iterator[str]:
        """The data of a last event whose blank line is missing; raises `MalformedStream` within a character."""
        self._text(b"", final=True)
        yield from self._read("\n\n")

    def _text(self, chunk: bytes, *, final: bool = False) -> str:
        try:
            return self._decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            message = f"the stream is not UTF-8: {error.reason} near {error.object[error.start : error.start + 8]!r}"
            raise MalformedStream(message) from error

    def _read(self, text: str) -> Iterator[str]:
        if self._after_cr and text:
            text = text.removeprefix("\n")
        self._after_cr = text.endswith("\r") if text else self._after_cr
        first, *others = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._keep(first)
        for line in others:
            data = self._line_ended()
            if data is not None:
                yield data
            self._keep(line)

    def _keep(self, part: str) -> None:
        self._held += len(part)
        if self._held > self._most:
            begin = "".join(self._line)[:40] or part[:40]
            message = f"an event of the stream is longer than {self._most} characters: it begins {begin!r}"
            raise MalformedStream(message)
        self._line.append(part)

    def _line_ended(self) -> str | None:
        line = "".join(self._line)
        self._line = []
        if not line:
            data, self._data, self._held = self._data, [], 0
            return "\n".join(data) if data else None
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        else:
            self._held -= len(line)
        return None


def as_json(data: str) -> Mapping[str, Any]:
    """The JSON object of an event; raises `MalformedStream` when it is none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        message = f"an event of the stream is not JSON ({error}): {data[:_SHOWN]!r}"
        raise MalformedStream(message) from error
    if not isinstance(found, dict):
        message = f"an event of the stream is not a JSON object: {data[:_SHOWN]!r}"
        raise MalformedStream(message)
    return found
