"""Plain values as bytes: all that may pass between a sandbox and the world outside.

Runs on both sides, so it imports nothing. A value is written by its exact type, so that a class which pretends to be
another is no value; reading calls nothing but the constructors of builtin types. No pickle, no JSON: integers of any
length, NaN, -0.0, bytes, sets and dicts with any key come back as they were.

>>> from_bytes(to_bytes({(1, -0.0): [b"x", {2**70}, None]}))
{(1, -0.0): [b'x', {1180591620717411303424}, None]}
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DEEPEST = 60
MOST = 250_000


class Unsupported(Exception):
    """A value that is not plain: of another type, nested deeper than 60, recursive, or of more than 250,000 parts."""


class Garbled(Exception):
    """Bytes that are no value."""


def no_reference(value: object) -> int:
    """Refuses every object."""
    what = f"a value of type {type(value).__name__}"
    raise Unsupported(what)


def to_bytes(value: object, refer: Callable[[object], int] = no_reference) -> bytes:
    """The bytes of `value`; `refer` gives a number for what is not plain, or raises `Unsupported`."""
    parts: list[bytes] = []

    def write(value: Any, depth: int) -> None:  # noqa: ANN401 - any value
        if depth < 0 or len(parts) > MOST:
            what = "a value that is recursive, too deep or too large"
            raise Unsupported(what)
        kind = type(value)
        if kind in _SCALARS:
            parts.append(_SCALARS[kind](value))
            return
        found = _parts(kind, value)
        if found is None:
            parts.append(b"R%x;" % refer(value))
            return
        tag, items = found
        parts.append(tag + b"%x;" % len(items))
        for item in items:
            write(item, depth - 1)

    write(value, DEEPEST)
    return b"".join(parts)


def _sized(tag: bytes, data: bytes) -> bytes:
    return tag + b"%x;" % len(data) + data


_SCALARS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"N",
    bool: lambda value: b"T" if value else b"F",
    int: lambda value: b"i%x;" % value if value >= 0 else b"i-%x;" % -value,
    float: lambda value: b"f" + float.hex(value).encode() + b";",
    str: lambda value: _sized(b"s", value.encode("utf-8", "surrogatepass")),
    bytes: lambda value: _sized(b"b", value),
    bytearray: lambda value: _sized(b"B", bytes(value)),
}


def _parts(kind: type, value: Any) -> tuple[bytes, list[object]] | None:  # noqa: ANN401 - any value
    """Tag and parts of a value that has parts; containers of `collections` count as the plain ones they equal."""
    if kind in _LISTS:
        return _LISTS[kind], list(value)
    if kind is complex:
        return b"c", [value.real, value.imag]
    if kind is range:
        return b"r", [value.start, value.stop, value.step]
    mro = type.mro(kind)
    if kind is dict or (kind.__module__ == "collections" and kind.__name__ in _DICTS and dict in mro):
        return b"d", [part for item in dict.items(value) for part in item]
    own = type.__getattribute__(kind, "__dict__")
    if mro[1:] == [tuple, object] and "_fields" in own and "__eq__" not in own:
        return b"t", list(tuple.__iter__(value))
    return None


_LISTS: dict[type, bytes] = {list: b"l", tuple: b"t", set: b"S", frozenset: b"Z"}
_DICTS = ("Counter", "OrderedDict", "defaultdict")


def _unknown(number: int) -> object:
    what = f"the reference {number}, where only values are expected"
    raise Garbled(what)


def from_bytes(data: bytes, resolve: Callable[[int], object] = _unknown) -> Any:  # noqa: ANN401 - any value
    """The value of `data`; `resolve` gives the object of a number. Raises `Garbled`, whatever the bytes are."""
    reader = _Reader(data, resolve)
    try:
        value = reader.value(DEEPEST)
    except (ValueError, TypeError, LookupError, OverflowError, MemoryError) as error:
        raise Garbled(str(error)) from None
    if reader.at != len(data):
        what = "bytes after the value"
        raise Garbled(what)
    return value


class _Reader:
    def __init__(self, data: bytes, resolve: Callable[[int], object]) -> None:
        self.data, self.resolve, self.at = data, resolve, 0

    def value(self, depth: int) -> Any:  # noqa: ANN401 - any value
        if depth < 0:
            raise IndexError(depth)
        tag = self.data[self.at : self.at + 1]
        self.at += 1
        if tag in _SIMPLE:
            return _SIMPLE[tag]
        end = self.data.index(b";", self.at)
        word, self.at = self.data[self.at : end], end + 1
        if tag == b"f":
            return float.fromhex(word.decode())
        number = int(word, 16)
        if tag in _NUMBERS:
            return number if tag == b"i" else self.resolve(number)
        return self.sized(tag, number, depth)

    def sized(self, tag: bytes, size: int, depth: int) -> Any:  # noqa: ANN401 - any value
        if not 0 <= size <= len(self.data) - self.at:
            raise IndexError(size)
        if tag in _TEXTS:
            self.at += size
            return _TEXTS[tag](self.data[self.at - size : self.at])
        return _MAKE[tag]([self.value(depth - 1) for _ in range(size)])


_SIMPLE = {b"N": None, b"T": True, b"F": False}
_NUMBERS = (b"i", b"R")
_TEXTS: dict[bytes, Callable[[bytes], object]] = {
    b"s": lambda data: data.decode("utf-8", "surrogatepass"),
    b"b": bytes,
    b"B": bytearray,
}
_MAKE: dict[bytes, Callable[[list[Any]], object]] = {
    b"l": list,
    b"t": tuple,
    b"S": set,
    b"Z": frozenset,
    b"c": lambda parts: complex(*parts),
    b"r": lambda parts: range(*parts),
    b"d": lambda parts: dict(zip(parts[::2], parts[1::2], strict=True)),
}
