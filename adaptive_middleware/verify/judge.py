"""Judging code: the answer's process only tells values, another process knows what is expected, and this one keeps them apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast, get_args

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.types import Verdict
from adaptive_middleware.verify.sandbox.codec import Garbled, from_bytes, to_bytes
from adaptive_middleware.verify.sandbox.limits import Ended, Ending, Limits, Sandbox, Session
from adaptive_middleware.verify.stub import stubs

VerdictKind: TypeAlias = Literal[
    "pass",
    "wrong",
    "error",
    "timeout",
    "memory",
    "output_limit",
    "crashed",
    "no_result",
    "unsupported",
    "unverified",
]
"""What became of code that was run. `passed` is None for the last two, which say nothing of the code, and False for the
eight between: it answered wrongly, raised, went beyond a limit, died by a signal, or ended without an answer."""

_KINDS: dict[Ending, VerdictKind] = {
    "ended": "no_result", "timeout": "timeout", "memory": "memory", "output_limit": "output_limit",
    "crashed": "crashed", "broken": "unverified",
}  # fmt: skip
_SHOWN, _LONGEST, _REMEMBERED = 400, 4096, 1000


@dataclass(frozen=True, slots=True)
class Asserts:
    """Tests as Python source: they pass when `prelude`, `tests` and `last` run to the end without an error.

    `entries` are the names of the answer that they may use; without entries it is every name that neither they nor Python
    define. `prelude` is source that runs first, `last` source that runs last (`check(candidate)`). With `trusted` False
    (tests that a model wrote) they get a sandbox of their own for each answer; trusted tests share one, in forks.
    """

    tests: str
    prelude: str = ""
    entries: tuple[str, ...] = ()
    last: str = ""
    trusted: bool = True


@dataclass(slots=True)
class Judge:
    """Runs answers' code in a sandbox within limits, and keeps processes that run trusted tests for the next answer.

    Every answer gets a sandbox of its own. May be used by several threads; `close` ends what it keeps.
    """

    sandbox: Sandbox
    limits: Limits = field(default_factory=Limits)
    _idle: list[Session] = field(default_factory=list)
    _useless: dict[Asserts, bool] = field(default_factory=dict)

    def asserts(self, code: str, tests: Asserts) -> Verdict:
        """Whether the code passes; tests that pass whatever a function answers are `unverified`, with that detail."""
        found = self._session(lambda answer: self._checked(answer, code, tests))
        if found.passed and self._pass_anything(tests):
            return verdict("unverified", "the tests pass whatever the answer does: they are useless")
        return found

    def finished(self, request: Sequence[object], read: Callable[[Ended], Verdict]) -> Verdict:
        """The verdict of `read` on a guest that `request` made a program which ended by itself."""

        def run(answer: Session) -> Verdict:
            end = answer.finish(to_bytes(list(request)), self.limits.wall)
            return read(end) if end.how == "ended" else ended(end)

        return self._session(run)

    def close(self) -> None:
        """End the processes that were kept."""
        while self._idle:
            self._idle.pop().close()

    def _session(self, use: Callable[[Session], Verdict]) -> Verdict:
        try:
            answer = self.sandbox.open(self.limits)
        except SandboxError as error:
            return verdict("unverified", str(error))
        try:
            return use(answer)
        finally:
            answer.close()

    def _checked(self, answer: Session, code: str, tests: Asserts) -> Verdict:
        """Load the code, and let a checker, started meanwhile, put its questions; it is kept if it is as it was."""
        try:
            checker = self._kept() if tests.trusted else self.sandbox.open(self.limits)
        except SandboxError as error:
            return verdict("unverified", str(error))
        role = "fork check" if tests.trusted else "check"
        checker.send(to_bytes([role, tests.tests, tests.prelude, list(tests.entries), tests.last]))
        loaded = answer.ask(to_bytes(["load", code]), self.limits.wall)
        if isinstance(loaded, Ended) or loaded[:1] == b"E":
            found, whole = (
                ended(loaded) if isinstance(loaded, Ended) else _raised(loaded),
                _released(checker),
            )
        else:
            found, whole = _relayed(answer, checker, self.limits.wall)
        if whole and tests.trusted:
            self._idle.append(checker)
        else:
            checker.close()
        return found

    def _kept(self) -> Session:
        """A process for trusted tests: one that was kept and still lives, or a new one."""
        while True:
            try:
                kept = self._idle.pop()
            except IndexError:
                return self.sandbox.open(self.limits)
            if kept.alive():
                return kept
            kept.close()

    def _pass_anything(self, tests: Asserts) -> bool:
        known = self._useless.get(tests)
        if known is None:
            if len(self._useless) >= _REMEMBERED:
                self._useless.clear()
            known = self._useless[tests] = all(self._checked(one, "", tests).passed for one in stubs())
        return known


def verdict(kind: VerdictKind, detail: str = "") -> Verdict:
    """A verdict of a kind; what the answer's code wrote is shown on one line, without control characters."""
    passed = None if kind in {"unsupported", "unverified"} else kind == "pass"
    return Verdict(passed, shown(detail), kind)


def shown(text: str) -> str:
    r"""Text for people and models: one line, no control characters, at most 400 characters, the end of it.

    >>> shown("\x1b]0;title\x07 one\n two")
    ']0;title one two'
    """
    line = " ".join(text.split())
    return "".join(letter for letter in line if letter.isprintable())[-_SHOWN:]


def ended(end: Ended) -> Verdict:
    """The verdict of a process that has ended: by itself it is `no_result`."""
    return verdict(_KINDS[end.how], end.detail)


def _raised(reply: bytes) -> Verdict:
    """The verdict of an error that was told by the answer's process."""
    try:
        builtin, own, message, line = _short(reply)
    except (Garbled, ValueError, TypeError):
        return verdict("error", "an error that cannot be read")
    where = f" (line {line})" if line else ""
    return verdict("memory" if builtin == "MemoryError" else "error", f"{own}: {message}{where}")


def _done(reply: bytes) -> Verdict:
    """The verdict that was told by the process of the tests, which may be hostile too."""
    try:
        kind, detail = _short(reply)
    except (Garbled, ValueError, TypeError):
        kind, detail = "unverified", "the tests told a verdict that cannot be read"
    if kind == "useless":
        return verdict("unverified", "the tests ask nothing of the answer: they are useless")
    known = cast("VerdictKind", kind) if kind in get_args(VerdictKind) else "unverified"
    return verdict(known, str(detail))


def _short(reply: bytes) -> Sequence[object]:
    """What a short frame tells. A long one is not read here: it may be made to be slow to read."""
    value = from_bytes(reply[1:_LONGEST])
    if not isinstance(value, tuple) or not all(isinstance(part, (str, int)) for part in value):
        what = "neither text nor numbers"
        raise Garbled(what)
    return value


def _relayed(answer: Session, checker: Session, wall: float) -> tuple[Verdict, bool]:
    """The verdict of tests that were begun, and whether the checker can be used again."""
    clock, answer_left = time.monotonic, wall
    until = clock() + wall
    message = checker.receive(wall)
    while not isinstance(message, Ended) and message[:1] == b"C":
        began = clock()
        reply = answer.ask(message[1:], answer_left)
        answer_left -= clock() - began
        until += clock() - began
        if isinstance(reply, Ended):
            return ended(reply), _released(checker)
        message = checker.ask(reply, until - clock())
    if isinstance(message, Ended):
        why = (
            "the tests did not end in time"
            if message.how == "timeout"
            else f"the tests ended ({message.detail})"
        )
        return verdict("unverified", why), False
    return _done(message), True


def _released(checker: Session) -> bool:
    """Tell tests that wait for an answer, or soon will, that none comes; whether they ended by that."""
    checker.send(b"X")
    for _ in range(2):
        message = checker.receive(1.0)
        if isinstance(message, Ended) or message[:1] == b"D":
            return not isinstance(message, Ended)
    return False
