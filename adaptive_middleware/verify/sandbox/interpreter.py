"""An answer's code in a Monty worker: the requests of a guest that it can answer for certain, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adaptive_middleware.verify.sandbox.codec import Garbled, Unsupported, from_bytes, to_bytes

_PLAIN = """
def _adaptive_plain(value, depth):
    kind = type(value)
    if value is None or kind in (bool, int, float, str, bytes, complex):
        return True
    if depth == 0 or kind not in (list, tuple, set, frozenset, dict):
        return False
    if kind not in (list, tuple) and len(value) > 1000:
        return False
    if kind is dict:
        for key in value:
            if not _adaptive_plain(key, depth - 1) or not _adaptive_plain(value[key], depth - 1):
                return False
        return True
    for part in value:
        if not _adaptive_plain(part, depth - 1):
            return False
    return True
"""
"""Run in Monty: it hands other values out as text, which would then be taken for the answer. Large sets and dicts, whose
keys may be made to collide, are not built out here."""

_TOLD = "_adaptive_got = {what}\n[_adaptive_got] if _adaptive_plain(_adaptive_got, 60) else None"

_LOAD, _LONGEST = b"l2;" + to_bytes("load"), 2**14


class Elsewhere(Exception):
    """What Monty cannot do, or not for certain."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the answer, by its number."""

    number: int


class Interpreter:
    """One worker with an answer's code. What is not a plain value, and every error, is for another sandbox to tell."""

    def __init__(self, worker: Any) -> None:  # noqa: ANN401 - a class of an extra
        self._worker, self._functions = worker, list[str]()

    def answer(self, request: bytes) -> bytes:
        """The reply of a guest. Raises `Elsewhere`."""
        from pydantic_monty import MontyError  # noqa: PLC0415 - an extra

        if len(request) > _LONGEST and not request.startswith(_LOAD):
            raise Elsewhere(len(request))
        try:
            what, *arguments = from_bytes(request, Function)
            known: dict[str, Callable[..., object]] = {
                "load": self._load, "names": self._names, "call": self._call,
            }  # fmt: skip
            return b"V" + to_bytes(known[what](*arguments), self._refer)
        except (MontyError, Garbled, Unsupported, LookupError, ValueError, TypeError, RuntimeError) as error:
            raise Elsewhere(str(error)) from error

    def close(self) -> None:
        """Give the worker back."""
        self._worker.__exit__(None, None, None)

    def _load(self, code: str) -> None:
        self._run(_PLAIN)
        self._run(code)

    def _names(self, wanted: list[str]) -> tuple[dict[str, object], dict[str, str]]:
        """Functions and plain values of those names; any other thing is for another sandbox."""
        found: dict[str, object] = {}
        for name in wanted:
            kind = self._kind(name)
            if kind == "function":
                self._functions.append(name)
                found[name] = Function(len(self._functions) - 1)
            elif kind:
                (found[name],) = self._run(_TOLD.format(what=name))
        return found, {}

    def _kind(self, name: str) -> str:
        """The name of a type; empty where the answer does not define the name."""
        if not name.isidentifier():
            raise Elsewhere(name)
        from pydantic_monty import MontyRuntimeError  # noqa: PLC0415 - an extra

        try:
            return str(self._run(f"type({name}).__name__"))
        except MontyRuntimeError as error:
            if isinstance(error.exception(), NameError):
                return ""
            raise

    def _call(self, target: Function, arguments: list[object], named: dict[str, object]) -> object:
        call = f"{self._functions[target.number]}(*_adaptive_a, **_adaptive_k)"
        given: dict[str, object] = {"_adaptive_a": tuple(arguments), "_adaptive_k": named}
        (value,) = self._run(_TOLD.format(what=call), given)
        return value

    def _run(self, code: str, given: dict[str, object] | None = None) -> Any:  # noqa: ANN401 - any value
        return self._worker.feed_run(code, inputs=given, print_callback=_unheard)

    def _refer(self, value: object) -> int:
        if isinstance(value, Function):
            return value.number
        what = f"a value of type {type(value).__name__}"
        raise Unsupported(what)


def _unheard(stream: str, text: str) -> None:
    """What the code prints is not read."""
