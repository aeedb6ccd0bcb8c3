"""A JSON body that is read, and sent on in its writer's own bytes: what is not changed is never written anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class NotAnObject(ValueError):
    """A body is not a JSON object."""


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON object: its bytes as written, and its values.

    >>> body = Body.read(b'{"n": 1.0, "model": "a@b",  "x": [1e2]}')
    >>> body.changed({"model": "a", "seed": 7})
    b'{"n": 1.0, "model": "a",  "x": [1e2], "seed": 7}'
    """

    written: bytes
    values: Mapping[str, Any]

    @classmethod
    def read(cls, written: bytes) -> Body:
        """The object in `written`; raises `NotAnObject`."""
        try:
            values = json.loads(written.decode())
        except (ValueError, RecursionError) as error:
            message = f"the body is not JSON: {error}"
            raise NotAnObject(message) from error
        if not isinstance(values, dict):
            message = "the body is not a JSON object"
            raise NotAnObject(message)
        return cls(written, values)

    def changed(self, values: Mapping[str, object]) -> bytes:
        """The bytes with `values` in place of those of the same names, or added; all other bytes are as they were."""
        if not values:
            return self.written
        text = self.written.decode()
        parts, at, missing = [], 0, dict(values)
        for name, start, end in _members(text):
            if name in values:
                parts += [text[at:start], json.dumps(values[name])]
                at = end
                missing.pop(name, None)
        close = text.rindex("}")
        parts.append(text[at:close])
        comma = ", " if self.values else ""
        for name, value in missing.items():
            parts.append(f"{comma}{json.dumps(name)}: {json.dumps(value)}")
            comma = ", "
        return "".join([*parts, text[close:]]).encode()

    def within(self, name: str, values: Mapping[str, object]) -> bytes:
        """As `changed`, in the object of that name; raises `NotAnObject` where it is none, `KeyError` where there is none.

        >>> Body.read(b'{"a": {"x": 1e2}, "b": 1.0}').within("a", {"y": 2})
        b'{"a": {"x": 1e2, "y": 2}, "b": 1.0}'
        """
        text = self.written.decode()
        places = {found: (start, end) for found, start, end in _members(text)}
        start, end = places[name]
        inner = Body.read(text[start:end].encode()).changed(values).decode()
        return f"{text[:start]}{inner}{text[end:]}".encode()


def _members(text: str) -> Iterator[tuple[str, int, int]]:
    """Each name of the object at the top of `text`, which is valid JSON, and where its value begins and ends."""
    at = _after_space(text, text.index("{") + 1)
    while text.startswith('"', at):
        name, at = _DECODER.raw_decode(text, at)
        start = _after_space(text, text.index(":", at) + 1)
        _, end = _DECODER.raw_decode(text, start)
        yield name, start, end
        at = _after_space(text, _after_space(text, end) + 1)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
