"""Which headers go on: all but those of one connection, and our own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Names and values as they were sent; a name may come several times."""

OURS = b"x-adaptive-"
_CONNECTION = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_ASKED_ANEW = frozenset({b"host", b"content-length", b"expect"})
_SERVED_ANEW = frozenset({b"date", b"server"})


def to_upstream(headers: Headers, *, key: str | None, keep_key: bool, plain: bool) -> Headers:
    """The client's headers as the upstream gets them.

    `key` takes the place of the client's `Authorization`; without one, that goes on only with `keep_key`, since it is
    the proxy's own where the proxy asks for one. `plain` asks for a body that is not compressed.
    """
    dropped = _ASKED_ANEW | _named(headers) | ({b"accept-encoding"} if plain else set())
    dropped |= {b"authorization"} if key is not None or not keep_key else set()
    kept = [pair for pair in _kept(headers, dropped) if not pair[0].lower().startswith(OURS)]
    kept += [(b"authorization", b"Bearer " + key.encode())] if key is not None else []
    return [*kept, (b"accept-encoding", b"identity")] if plain else kept


def to_client(headers: Headers, *, rewritten: bool = False) -> Headers:
    """The upstream's headers as the client gets them; a body that is `rewritten` has another length."""
    return _kept(headers, _SERVED_ANEW | _named(headers) | ({b"content-length"} if rewritten else set()))


def _kept(headers: Headers, dropped: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    without = _CONNECTION | frozenset(dropped)
    return [(name, value) for name, value in headers if name.lower() not in without]


def _named(headers: Headers) -> frozenset[bytes]:
    """The names that `Connection` says are for this connection alone."""
    values = [value for name, value in headers if name.lower() == b"connection"]
    return frozenset(word.strip().lower() for value in values for word in value.split(b","))
