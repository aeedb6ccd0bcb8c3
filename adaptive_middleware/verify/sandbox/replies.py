"""The side of an answer in a sandbox: its code is loaded, and what is asked of it is told as plain values or as an error.

Sent as source with the guest, so it imports the standard library only. A reply begins with one letter: `V`alue, `E`rror
(builtin type, own type, message, line) or `U`nsupported.
"""

from __future__ import annotations

import sys

from adaptive_middleware.verify.sandbox.codec import Unsupported, from_bytes, to_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SHOWN = 400


class Answer:
    """The names of an answer's code, and the objects that were told as references."""

    def __init__(self) -> None:
        self.module = type(sys)("answer")
        self.told: list[object] = []

    def refer(self, value: object) -> int:
        """The number of an object, the same one each time."""
        for number, known in enumerate(self.told):
            if known is value:
                return number
        self.told.append(value)
        return len(self.told) - 1

    def load(self, code: str) -> None:
        """Run the code once."""
        sys.modules["answer"] = self.module
        exec(compile(code, "answer.py", "exec"), vars(self.module))  # noqa: S102 - its job, in a sandbox

    def names(self, wanted: list[str]) -> tuple[dict[str, object], dict[str, str]]:
        """Those of the names that the code defines; exception types apart, with their builtin base."""
        own = vars(self.module)
        found = {name: own[name] for name in wanted if name in own}
        errors = {name: _builtin(value) for name, value in found.items() if _is_error(value)}
        return {name: value for name, value in found.items() if name not in errors}, errors

    def call(self, target: Any, arguments: list[Any], named: dict[str, Any]) -> object:  # noqa: ANN401
        """The result of a call."""
        return target(*arguments, **named)

    def run(self, name: str, arguments: list[Any]) -> object:
        """The result of the function of that name."""
        return vars(self.module)[name](*arguments)

    def delete(self, target: Any, key: object) -> None:  # noqa: ANN401 - any object
        """Delete an item."""
        del target[key]

    def put(self, target: Any, key: object, value: object) -> None:  # noqa: ANN401 - any object
        """Set an item."""
        target[key] = value

    def operations(self) -> dict[str, Callable[..., object]]:
        """All that can be asked of an answer's code: nothing that shows it what a result is compared with."""
        return {
            "load": self.load, "names": self.names, "call": self.call, "attribute": getattr, "set": setattr,
            "length": len, "list": list, "next": next, "truth": bool, "text": str, "repr": repr, "put": self.put,
            "item": lambda target, key: target[key], "delete": self.delete, "run": self.run,
        }  # fmt: skip


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


def _builtin(kind: Any) -> str:  # noqa: ANN401 - any class
    return next(base.__name__ for base in type.mro(kind) if base.__module__ == "builtins")


def _told(error: BaseException) -> bytes:
    """An error by the names of its types, its message, and the last line of the answer's code on its way."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == "answer.py" else line
        trace = trace.tb_next
    kind = type(error)
    try:
        message = str(error)[:_SHOWN]
    except Exception:  # noqa: BLE001 - the code of an answer may raise anything
        message = ""
    if isinstance(error, SyntaxError):
        line = error.lineno or 0
    return to_bytes((_builtin(kind), str(kind.__name__), message, line))


def reply(answer: Answer, request: bytes) -> tuple[bytes, bytes]:
    """The letter and the payload of the reply to a request; an exit of the code ends the process without one."""
    try:
        what, *arguments = from_bytes(request, answer.told.__getitem__)
        payload = to_bytes(answer.operations()[what](*arguments), answer.refer)
    except Unsupported as error:
        return b"U", to_bytes(str(error))
    except Exception as error:  # noqa: BLE001 - the code of an answer may raise anything
        return b"E", _told(error)
    return b"V", payload
