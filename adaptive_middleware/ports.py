"""What the world must provide: small protocols, and three kinds of callables.

Batches are the only shape: every port takes and returns sequences. A port that fails raises; a sampler
that lost only some of its samples returns those as paths with `error` set.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from adaptive_middleware.types import (
    Candidate,
    Decision,
    Estimate,
    Outcome,
    Path,
    Request,
    State,
    StepScores,
    Unanswered,
    Verdict,
)


class Sampler(Protocol):
    """Draws complete answers."""

    def sample(self, request: Request, n: int) -> Sequence[Path]:
        """At most `n` independent answers to `request`."""
        ...


class AsyncSampler(Protocol):
    """Draws complete answers without blocking the event loop."""

    async def asample(self, request: Request, n: int) -> Sequence[Path]:
        """At most `n` independent answers to `request`."""
        ...


class Streamer(Protocol):
    """Draws answers that are read step by step and may be closed before their end.

    Four methods, because they are the life of one thing: an open path carries in `raw` whatever the streamer
    needs to go on with it.
    """

    def begin(self, request: Request, n: int) -> Sequence[Path]:
        """At most `n` open paths (`done` False), nothing of them read."""
        ...

    def advance(self, request: Request, paths: Sequence[Path]) -> Sequence[Path]:
        """Each path one closed step further, or `done` with its whole answer, or with `error` set."""
        ...

    def follow(self, request: Request, path: Path) -> Iterator[Path]:
        """The path, longer each time as its text arrives (the last step may be unfinished), at last `ended`."""
        ...

    def drop(self, request: Request, paths: Sequence[Path]) -> Sequence[Path]:
        """The paths, closed, with what they cost in the end."""
        ...


class AsyncStreamer(Protocol):
    """Draws answers that are read step by step, without blocking the event loop."""

    async def abegin(self, request: Request, n: int) -> Sequence[Path]:
        """At most `n` open paths (`done` False), nothing of them read."""
        ...

    async def aadvance(self, request: Request, paths: Sequence[Path]) -> Sequence[Path]:
        """Each path one closed step further, or `done` with its whole answer, or with `error` set."""
        ...

    def afollow(self, request: Request, path: Path) -> AsyncIterator[Path]:
        """The path, longer each time as its text arrives (the last step may be unfinished), at last `ended`."""
        ...

    async def adrop(self, request: Request, paths: Sequence[Path]) -> Sequence[Path]:
        """The paths, closed, with what they cost in the end."""
        ...


class Extender(Protocol):
    """Continues partial answers by one step: samplers that can go on from a prefix."""

    def extend(self, request: Request, paths: Sequence[Path], fanout: int) -> Sequence[Path]:
        """At most `fanout` continuations of each path, flat and in order, each one closed step longer or `ended`.

        `usage` is what that step cost. Raises `NotContinuing` where the model or provider cannot go on from a prefix.
        """
        ...


class AsyncExtender(Protocol):
    """Continues partial answers by one step, without blocking the event loop."""

    async def aextend(self, request: Request, paths: Sequence[Path], fanout: int) -> Sequence[Path]:
        """At most `fanout` continuations of each path, flat and in order, each one closed step longer or `ended`.

        `usage` is what that step cost. Raises `NotContinuing` where the model or provider cannot go on from a prefix.
        """
        ...


class Scorer(Protocol):
    """A process reward model."""

    def score(self, request: Request, paths: Sequence[Path]) -> Sequence[StepScores]:
        """One `StepScores` per path, in order; a path without steps gets the question's score."""
        ...


class AsyncScorer(Protocol):
    """A process reward model behind an awaitable call."""

    async def ascore(self, request: Request, paths: Sequence[Path]) -> Sequence[StepScores]:
        """One `StepScores` per path, in order; a path without steps gets the question's score."""
        ...


@runtime_checkable
class ConcurrentScorer(Scorer, AsyncScorer, Protocol):
    """A scorer that takes calls from any thread and task at the same moment, and may compute them together.

    It says so by `concurrent`, and is then called directly. Any other scorer is called from one thread, one call
    after the other.
    """

    @property
    def concurrent(self) -> Literal[True]:
        """That it does."""
        ...


class Verifier(Protocol):
    """Checks answers exactly: unit tests, a schema, a known result."""

    def verify(self, request: Request, paths: Sequence[Path]) -> Sequence[Verdict]:
        """One verdict per path, in order."""
        ...


class AsyncVerifier(Protocol):
    """Checks answers exactly, behind an awaitable call."""

    async def averify(self, request: Request, paths: Sequence[Path]) -> Sequence[Verdict]:
        """One verdict per path, in order."""
        ...


class Observer(Protocol):
    """Is told of answered calls: to keep them, count them or send them on.

    It is called in the thread or on the event loop of the call, so it hands over what it got and returns at once.
    What it raises never reaches the call.
    """

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        """A call was answered; `seconds` from its beginning to its end. Called once, `outcome.id` is set."""
        ...


class CaseRunner(Protocol):
    """Runs programs against test cases that may themselves be wrong: a sandbox."""

    def results(self, programs: Sequence[str], tests: Sequence[str]) -> Sequence[Sequence[bool | None]]:
        """One row per program with one result per test: passed, or not, or None where it could not be run."""
        ...


@runtime_checkable
class Judged(Observer, Protocol):
    """An observer that keeps calls, and is told afterwards what came of them."""

    def feedback(self, call_id: str, *, correct: bool | None) -> None:
        """The answer of a call was right, or not; None takes that back. Raises `UnknownCall` for a call it does not keep."""
        ...


@runtime_checkable
class Thorough(Observer, Protocol):
    """An observer that is told of calls without an answer, too: they failed, were cancelled, or nobody read them on."""

    def unanswered(self, request: Request, call: Unanswered, seconds: float) -> None:
        """A call ended without an answer, `seconds` after it began. Called in place of `ended`; `call.id` is set."""
        ...


@runtime_checkable
class Surrounding(Observer, Protocol):
    """An observer that is there while a call is answered, too: it may set context variables, which all draws inherit."""

    def around(self, request: Request) -> AbstractContextManager[object]:
        """Is entered before a call is answered and left after `ended`, or with the call's error; not around streams."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """The synchronous world of one call."""

    sampler: Sampler
    scorer: Scorer | None = None
    verifier: Verifier | None = None
    streamer: Streamer | None = None
    extender: Extender | None = None


@dataclass(frozen=True, slots=True)
class AsyncPorts:
    """The asynchronous world of one call."""

    sampler: AsyncSampler
    scorer: AsyncScorer | None = None
    verifier: AsyncVerifier | None = None
    streamer: AsyncStreamer | None = None
    extender: AsyncExtender | None = None


Calibrator: TypeAlias = Callable[[Path, StepScores], Estimate]
"""Raw step scores of a path (with its step count, end and log-probabilities) -> honest probability."""

Policy: TypeAlias = Callable[[State], "Decision | int"]
"""How many more samples to draw, 0 to stop; a lambda that returns a number does."""

Keep: TypeAlias = Callable[[State, Candidate], "Decision | int"]
"""Whether an open answer, judged so far, is read on (1) or dropped (0)."""
