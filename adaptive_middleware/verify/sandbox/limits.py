"""What a program in a sandbox may use, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

Ending: TypeAlias = Literal["ended", "timeout", "memory", "output_limit", "crashed", "broken"]
"""How a process ended: by itself, at a limit, by a signal, or because the sandbox itself failed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one sandbox; each is > 0.

    `seconds` of CPU time for each process, and 4 times as much by the clock for each answer; `memory_mb` of address
    space for each process, and of resident memory for all together; `file_mb` for all files together;
    `output_bytes` for all that is written for one answer, and that. `readable` are folders of the host that the program may read (an
    environment with pytest, say); with none of them it sees the system's programs and the standard library only.
    """

    seconds: float = 4.0
    memory_mb: int = 512
    processes: int = 8
    file_mb: int = 16
    output_bytes: int = 2**20
    readable: tuple[str, ...] = ()

    @property
    def wall(self) -> float:
        """Seconds by the clock."""
        return 4 * self.seconds


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a process: how, exit status (None where it had to be killed), and the last of what it printed."""

    how: Ending
    status: int | None = None
    detail: str = ""
    printed: bytes = b""


class Session(Protocol):
    """One started sandbox with a guest in it, which answers requests in the order in which they are asked."""

    def send(self, request: bytes) -> None:
        """Ask something without waiting for the answer."""
        ...

    def receive(self, seconds: float) -> bytes | Ended:
        """The answer to what was sent, or how the guest ended instead; `seconds` by the clock. An end is for good."""
        ...

    def ask(self, request: bytes, seconds: float) -> bytes | Ended:
        """Both: the answer to a request."""
        ...

    def finish(self, request: bytes, seconds: float) -> Ended:
        """The end of a guest that `request` makes a program; `printed` is then all that it wrote to its output."""
        ...

    def alive(self) -> bool:
        """Whether its first process still runs."""
        ...

    def close(self) -> None:
        """End everything that runs in it, at once; more than one call does nothing more."""
        ...


class Sandbox(Protocol):
    """A way of starting programs that can reach nothing but what `Limits` names."""

    @property
    def name(self) -> str:
        """The tier: `bwrap`, `monty`, .."""
        ...

    def open(self, limits: Limits) -> Session:
        """A new sandbox; raises `SandboxError` where it cannot be started at all."""
        ...
