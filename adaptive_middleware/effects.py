"""What a strategy may ask of the world, as data.

A strategy is a generator. It never calls a model: it yields an effect and receives the typed answer.
`answer = yield from Score(request, paths)` is typed for every checker, because each effect is an
iterable whose iterator yields the effect itself and returns what it was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from adaptive_middleware.bell import Bell, in_thread
from adaptive_middleware.types import Outcome, Path, Request, StepScores, Verdict

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Effect(Generic[T_co]):
    """A wish that a driver answers with a `T_co`. Never subscript it at call time (Python 3.11)."""

    __slots__ = ()

    def __iter__(self) -> Generator[Effect[Any], Any, T_co]:
        answer: T_co = yield self
        return answer


@dataclass(frozen=True, slots=True)
class Sample(Effect[Sequence[Path]]):
    """Draw `n` >= 1 complete answers; at most `n` paths come back, failed ones marked by `error`."""

    request: Request
    n: int


@dataclass(frozen=True, slots=True)
class Begin(Effect[Sequence[Path]]):
    """Open `n` >= 1 streamed answers, of which nothing is read yet; at most `n` open paths come back."""

    request: Request
    n: int


@dataclass(frozen=True, slots=True)
class Advance(Effect[Sequence[Path]]):
    """Read each open path to the end of its next step or of the answer; one path per path, in order."""

    request: Request
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Extend(Effect[Sequence[Path]]):
    """Continue each partial path by one step, `fanout` >= 1 ways; a path without steps begins the answer.

    The continuations come back flat, those of the first path first; a path may get fewer than `fanout`. The
    `usage` of a continuation is what this one step cost.
    """

    request: Request
    paths: tuple[Path, ...]
    fanout: int = 1


@dataclass(frozen=True, slots=True)
class Follow(Effect[Path]):
    """Read one open path to its end, and show it to the caller from now on, as it is written.

    Nothing that was shown can be taken back: a strategy follows only what it returns. A failure after something
    was shown is said in the path's `error`; one before that is thrown.
    """

    request: Request
    path: Path


@dataclass(frozen=True, slots=True)
class Drop(Effect[Sequence[Path]]):
    """Close open paths for good; they come back with what they cost in the end."""

    request: Request
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Score(Effect[Sequence[StepScores]]):
    """Score the steps of all `paths` in one call of the process reward model; one answer per path."""

    request: Request
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Verify(Effect[Sequence[Verdict]]):
    """Check the answers of all `paths` by execution or comparison; one verdict per path."""

    request: Request
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Consult(Effect[T_co]):
    """Call `work`, which may wait for a disk or a network: an event loop hands it to a thread.

    `work` runs to its end, also when the call is cancelled meanwhile.
    """

    work: Callable[[], T_co]

    def outside(self) -> T_co:
        """The answer, by the thread that asks."""
        return self.work()

    async def outside_async(self) -> T_co:
        """The answer, by another thread."""
        return await in_thread(self.work)


@dataclass(frozen=True, slots=True)
class Pause(Effect[None]):
    """Wait until `bell` rings, at most `seconds`."""

    bell: Bell
    seconds: float

    def outside(self) -> None:
        """Wait, and the thread with it."""
        self.bell.wait(self.seconds)

    async def outside_async(self) -> None:
        """Wait, while the event loop goes on."""
        await self.bell.wait_async(self.seconds)


Flow: TypeAlias = Generator[Effect[Any], Any, T]
"""A running strategy that ends with a `T`."""

Strategy: TypeAlias = Callable[[Request], Flow[Outcome]]
"""Request in, flow out; a frozen dataclass with `__call__`, or any generator function."""
