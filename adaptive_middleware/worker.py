"""Scorer and verifier as both drivers reach them: on one worker thread, unless they take calls from any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from adaptive_middleware.deadline import Deadline
from adaptive_middleware.errors import DeadlineExceeded
from adaptive_middleware.ports import ConcurrentScorer, Scorer, Verifier
from adaptive_middleware.scoring.shield import Shield
from adaptive_middleware.types import Path, Request, StepScores, Verdict

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

T = TypeVar("T")


class Worker:
    """A scorer and a verifier; what is not concurrent is called on one thread, started at first use.

    `shield` stands before the scorer. A scorer that is not concurrent and never returns holds the thread, and every
    call after it, until its own deadline.
    """

    def __init__(
        self, scorer: Scorer | None, verifier: Verifier | None, shield: Shield | None = None
    ) -> None:
        self.scorer, self.verifier, self.shield = scorer, verifier, shield or Shield()
        self._thread = _Thread()

    def __reduce__(self) -> tuple[type[Worker], tuple[Scorer | None, Verifier | None]]:
        return Worker, (self.scorer, self.verifier)

    def with_verifier(self, verifier: Verifier | None) -> Worker:
        """The same scorer, shield and thread, with another verifier."""
        other = Worker(self.scorer, verifier, self.shield)
        other._thread = self._thread
        return other

    def score(self, request: Request, paths: Sequence[Path]) -> Sequence[StepScores]:
        """Scores from the worker thread, or from a scorer that takes calls from any; blocks."""
        with self.shield.asking(request) as bounded:
            if isinstance(self.scorer, ConcurrentScorer):
                return self.scorer.score(bounded, paths)
            return _waited(self._thread().submit(_present(self.scorer).score, bounded, paths), bounded)

    async def ascore(self, request: Request, paths: Sequence[Path]) -> Sequence[StepScores]:
        """As `score`, without blocking the event loop."""
        import asyncio  # noqa: PLC0415 - costs a third of the package's import time

        with self.shield.asking(request) as bounded:
            async with asyncio.timeout(Deadline(bounded.deadline).seconds()):
                if isinstance(self.scorer, ConcurrentScorer):
                    return await self.scorer.ascore(bounded, paths)
                return await self._awaited(_present(self.scorer).score, bounded, paths)

    def verify(self, request: Request, paths: Sequence[Path]) -> Sequence[Verdict]:
        """Verdicts from the worker thread; blocks. Raises `DeadlineExceeded` at the call's deadline."""
        asked = self._thread().submit(_present(self.verifier).verify, request, paths)
        try:
            return _waited(asked, request)
        except TimeoutError as error:
            if Deadline(request.deadline).left() > 0:
                raise
            message = "the answers were not verified at the call's deadline"
            raise DeadlineExceeded(message) from error

    async def averify(self, request: Request, paths: Sequence[Path]) -> Sequence[Verdict]:
        """Verdicts from the worker thread, without blocking the event loop."""
        return await self._awaited(_present(self.verifier).verify, request, paths)

    async def _awaited(
        self, call: Callable[[Request, Sequence[Path]], T], request: Request, paths: Sequence[Path]
    ) -> T:
        import asyncio  # noqa: PLC0415 - costs a third of the package's import time

        return await asyncio.get_running_loop().run_in_executor(self._thread(), call, request, paths)


class _Thread:
    """One thread for all calls, started at first use."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._starting = Lock()

    def __call__(self) -> ThreadPoolExecutor:
        with self._starting:  # two first calls at once must not start two threads
            if self._pool is None:
                from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - costs a third of the package's import time

                self._pool = ThreadPoolExecutor(1, thread_name_prefix="adaptive-scorer")
            return self._pool


def _waited(asked: Future[T], request: Request) -> T:
    """The result; a `TimeoutError` at the request's deadline, and what has not begun by then never does."""
    try:
        return asked.result(Deadline(request.deadline).seconds())
    except TimeoutError:
        asked.cancel()
        raise


def _present(port: T | None) -> T:
    if port is None:
        message = "the worker was asked for a port that the middleware does not have"
        raise RuntimeError(message)
    return port
