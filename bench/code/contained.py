"""Runs every hostile program in every tier, as root and as a user without rights, and looks at what it left."""

from __future__ import annotations

import json
import os
import resource
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from adaptive_middleware.verify.judge import ended
from adaptive_middleware.verify.sandbox.choose import why_not
from adaptive_middleware.verify.sandbox.codec import Garbled, Unsupported, from_bytes, to_bytes
from adaptive_middleware.verify.sandbox.limits import Ended, Limits, Sandbox
from bench.code.hostile import LIMITS, REACH, Hostile
from bench.code.hostile_answers import ANSWERS

PROGRAMS: Mapping[str, Hostile] = {**LIMITS, **REACH, **ANSWERS}
_LIMITS = Limits(seconds=1, memory_mb=512)
_WALL = 3.0
_FLAT = 64 * 2**10
_NOBODY = 65533


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one program."""

    program: str
    tier: str
    user: str
    verdict: str
    contained: bool


def rows(tiers: Sequence[Sandbox], only: str = "") -> Iterator[Row]:
    """A row for each program, tier and user; as a user without rights too where this is root."""
    for tier in tiers:
        for user, run in (
            (("root", _as_is), ("nobody", _as_nobody)) if os.geteuid() == 0 else (("user", _as_is),)
        ):
            yield from run(tier, user, [name for name in PROGRAMS if only in name])


def _as_is(tier: Sandbox, user: str, names: Sequence[str]) -> list[Row]:
    return [_row(tier, user, name) for name in names]


def _as_nobody(tier: Sandbox, user: str, names: Sequence[str]) -> list[Row]:
    """In a fork that gives root away: what it needs is loaded by then. No rows, where the tier does not work from there."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
            with os.fdopen(writer, "w") as pipe:
                json.dump(
                    [asdict(row) for row in (_as_is(tier, user, names) if not why_not(tier) else [])], pipe
                )
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        found = [Row(**row) for row in json.load(pipe)]
    os.waitpid(child, 0)
    return found


def _row(tier: Sandbox, user: str, name: str) -> Row:
    program, token = PROGRAMS[name], f"adaptive-{secrets.token_hex(8)}"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with _listening(token) as (port, connected):
        os.environ["ADAPTIVE_SECRET"] = token
        words = {"PORT": str(port), "NAME": token, "SECRET": token, "PID": str(os.getpid()), "TOKEN": token}
        verdict, answer = _ran(tier, _filled(program.code, words))
        del os.environ["ADAPTIVE_SECRET"]
        flat = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _FLAT
        held = verdict != "answered" or program.holds(answer)
        nothing_left = not connected() and not _left(token)
    return Row(name, tier.name, user, verdict, verdict in program.verdicts and held and flat and nothing_left)


def _filled(code: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        code = code.replace(word, value)
    return code


def _ran(tier: Sandbox, code: str) -> tuple[str, object]:
    """The verdict, and the answer where there is one; `answered` stands for a plain value."""
    session = tier.open(_LIMITS)
    try:
        reply = session.ask(to_bytes(["load", code]), _WALL)
        if reply == b"VN":
            reply = session.ask(to_bytes(["run", "attack", []]), _WALL)
        return (str(ended(reply).kind), None) if isinstance(reply, Ended) else _told(reply)
    finally:
        session.close()


def _told(reply: bytes) -> tuple[str, object]:
    try:
        value = from_bytes(reply[1:])
    except (Garbled, Unsupported):
        return "unsupported", None
    if reply[:1] == b"E":
        return ("memory" if value[0] == "MemoryError" else "error"), None
    return ("answered" if reply[:1] == b"V" else "unsupported"), value


class _listening:  # noqa: N801 - reads as a word
    """Two sockets of this machine that nobody in a sandbox may reach: a port, and a name."""

    def __init__(self, name: str) -> None:
        self._port = socket.create_server(("127.0.0.1", 0))
        self._name = socket.socket(socket.AF_UNIX)
        self._name.bind(f"\0{name}")
        self._name.listen()
        for one in (self._port, self._name):
            one.setblocking(False)

    def __enter__(self) -> tuple[int, Callable[[], bool]]:
        return self._port.getsockname()[1], self._connected

    def __exit__(self, *error: object) -> None:
        self._port.close()
        self._name.close()

    def _connected(self) -> bool:
        return any(map(_accepted, (self._port, self._name)))


def _accepted(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _left(token: str) -> bool:
    """Whether it still runs after a moment: what was begun may not have its name yet, and what was killed still has it."""
    for _ in range(5):
        time.sleep(0.1)
        if not _running(token):
            return False
    return True


def _running(token: str) -> bool:
    """Whether a process with that name runs anywhere on this machine."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if token.encode() in file.read_bytes():
                return True
        except OSError:
            continue
    return False
