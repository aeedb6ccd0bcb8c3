"""The process inside a sandbox: it runs an answer's code and tells plain values, or runs tests that ask for them.

Sent as source and run by an interpreter without site packages, so it imports the standard library only, and little of
it. Requests and answers are `codec` values behind a length of 4 bytes; an answer begins with one letter: `V`alue, `E`rror
(builtin type, own type, message, line), `U`nsupported, `C`all (of tests, to be put to the answer), `D`one, `+` ready.
"""

from __future__ import annotations

import os
import sys

from adaptive_middleware.verify.sandbox.checker import check
from adaptive_middleware.verify.sandbox.codec import Unsupported, from_bytes, to_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SHOWN = 400
_CHECKED, _CPU_SPENT = 77, -24
UNCOPIED = 97
_COMMON = (
    "typing",
    "re",
    "math",
    "collections",
    "functools",
    "itertools",
    "heapq",
    "string",
    "random",
    "copy",
)


class Pipe:
    """Frames on two file descriptors."""

    def __init__(self, requests: int, answers: int) -> None:
        self.requests, self.answers = requests, answers

    def read(self) -> bytes:
        """The next request. Raises `EOFError` where there is none."""
        return self._exactly(int.from_bytes(self._exactly(4), "big"))

    def write(self, letter: bytes, payload: bytes = b"") -> None:
        """One answer, whole."""
        data = memoryview((len(payload) + 1).to_bytes(4, "big") + letter + payload)
        while data:
            data = data[os.write(self.answers, data) :]

    def ask(self, payload: bytes) -> bytes:
        """The answer to a call of tests."""
        self.write(b"C", payload)
        return self.read()

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = os.read(self.requests, size - len(data))
            if not more:
                raise EOFError
            data += more
        return data


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


def _reply(pipe: Pipe, answer: Answer, request: bytes) -> bool:
    """Answer one request; an exit of the code ends the process without an answer."""
    try:
        what, *arguments = from_bytes(request, answer.told.__getitem__)
        payload = to_bytes(answer.operations()[what](*arguments), answer.refer)
    except Unsupported as error:
        pipe.write(b"U", to_bytes(str(error)))
    except Exception as error:  # noqa: BLE001 - the code of an answer may raise anything
        pipe.write(b"E", _told(error))
    else:
        pipe.write(b"V", payload)
    return True


def _program(pipe: Pipe, source: str, typed: bytes) -> bool:
    """Run a program whose standard input and output are its own; the process ends with it."""
    with open("input", "wb") as file:  # noqa: PTH123 - pathlib takes longer to import than most programs to run
        file.write(typed)
    os.dup2(os.open("input", os.O_RDONLY), 0)
    os.dup2(pipe.answers, 1)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - open as long as the program runs
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    module = sys.modules["__main__"] = type(sys)("__main__")
    exec(compile(source, "program.py", "exec"), vars(module))  # noqa: S102 - its job, in a sandbox
    sys.stdout.flush()
    return False


def _command(pipe: Pipe, arguments: list[str], typed: bytes, folder: str) -> bool:
    """Become another program, in a copy of `folder` where one is named; with status 97 where that cannot be copied."""
    if folder:
        from shutil import copytree  # noqa: PLC0415 - only this needs it

        try:
            copytree(folder, "work", symlinks=True)
        except OSError as error:
            os.write(2, str(error)[:_SHOWN].encode("utf-8", "replace"))
            os._exit(UNCOPIED)
        os.chdir("work")
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        while typed:
            typed = typed[os.write(writer, typed) :]
        os._exit(0)
    os.close(writer)
    os.dup2(reader, 0)
    os.dup2(pipe.answers, 1)
    os.execvp(arguments[0], arguments)  # noqa: S606 - its job, in a sandbox
    return False


def _check(pipe: Pipe, *arguments: Any) -> bool:  # noqa: ANN401 - what `check` takes
    """Tests in this process."""
    pipe.write(b"D", to_bytes(check(pipe.ask, *arguments)))
    return True


def _fork_check(pipe: Pipe, *arguments: Any) -> bool:  # noqa: ANN401 - what `check` takes
    """Tests in a fork of this process, which then is as it was."""
    child = os.fork()
    if child == 0:
        _check(pipe, *arguments)
        os._exit(_CHECKED)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != _CHECKED:
        why = "did not end in time" if status == _CPU_SPENT else f"ended their own process (status {status})"
        pipe.write(b"D", to_bytes(("unverified", f"the tests {why}")))
    return True


def _prepare(pipe: Pipe) -> None:
    """Import what much code imports, as long as nobody waits for an answer."""
    from select import select  # noqa: PLC0415 - this one is quick, the others are what is measured

    for name in _COMMON:
        if select([pipe.requests], [], [], 0)[0]:
            return
        __import__(name)


def serve() -> None:
    """Answer requests until there are no more, or until one of them is to become a program."""
    pipe = Pipe(os.dup(0), os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    pipe.write(b"+")
    _prepare(pipe)
    answer = Answer()
    roles: dict[str, Callable[..., bool]] = {
        "check": _check, "fork check": _fork_check, "program": _program, "command": _command,
    }  # fmt: skip
    on = True
    while on:
        try:
            request = pipe.read()
        except EOFError:
            return
        what, *arguments = from_bytes(request, lambda _: None)
        on = roles[what](pipe, *arguments) if what in roles else _reply(pipe, answer, request)
