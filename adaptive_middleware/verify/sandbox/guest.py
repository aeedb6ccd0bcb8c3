"""The process inside a sandbox: it runs an answer's code and tells plain values, or runs tests that ask for them.

Sent as source and run by an interpreter without site packages, so it imports the standard library only, and little of
it. Requests and answers are `codec` values behind a length of 4 bytes; an answer begins with one letter: those of
`replies`, `C`all (of tests, to be put to the answer), `D`one, `+` ready.
"""

from __future__ import annotations

import os
import sys

from adaptive_middleware.verify.sandbox.checker import check
from adaptive_middleware.verify.sandbox.codec import from_bytes, to_bytes
from adaptive_middleware.verify.sandbox.replies import Answer, reply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SHOWN = 400
_CHECKED, _CLOSED, _CPU_SPENT = 77, 78, -24
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
_REHEARSED = (
    "from typing import List\ndef f(x: List[float]) -> List[float]:\n    return [2 * y for y in x if y]\n"
)


class Pipe:
    """Frames on two file descriptors."""

    def __init__(self, requests: int, answers: int) -> None:
        self.requests, self.answers = requests, answers
        self.ahead = ["", *reversed(_COMMON)]

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
    """Tests in a fork of this process, which then is as it was; from then on a fork of it waits for each request."""
    child = os.fork()
    if child == 0:
        _check(pipe, *arguments)
        os._exit(_CHECKED)
    while (status := _ended(pipe, child)) == _CHECKED:
        _prepare(pipe)
        child = os.fork()
        if child == 0:
            os._exit(_CHECKED if _serve_one(pipe, Answer(), {"fork check": _check}) else _CLOSED)
    return status != _CLOSED


def _ended(pipe: Pipe, child: int) -> int:
    """The exit status of a fork; where its tests ended it themselves, that is told."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (_CHECKED, _CLOSED):
        why = "did not end in time" if status == _CPU_SPENT else f"ended their own process (status {status})"
        pipe.write(b"D", to_bytes(("unverified", f"the tests {why}")))
    return status


def _prepare(pipe: Pipe) -> None:
    """Import what much code imports, then rehearse (""), as long as nobody waits for an answer; each is done once."""
    from select import select  # noqa: PLC0415 - this one is quick, the others are what is measured

    while pipe.ahead and not select([pipe.requests], [], [], 0)[0]:
        name = pipe.ahead.pop()
        if name:
            __import__(name)
        else:
            _rehearse()


def _rehearse() -> None:
    """Load code and check it in this process once: whatever is done for the first time takes several times as long."""
    answer, kept = Answer(), sys.modules["__main__"]
    reply(answer, to_bytes(["load", _REHEARSED]))
    check(lambda request: b"".join(reply(answer, request)), "assert f([1.5]) == [3.0]", "", ["f"], "")
    sys.modules["__main__"] = kept


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
    while _serve_one(pipe, answer, roles):
        pass


def _serve_one(pipe: Pipe, answer: Answer, roles: dict[str, Callable[..., bool]]) -> bool:
    """Answer one request; whether another may follow."""
    try:
        request = pipe.read()
    except EOFError:
        return False
    what, *arguments = from_bytes(request, lambda _: None)
    if what in roles:
        return roles[what](pipe, *arguments)
    pipe.write(*reply(answer, request))
    return True
