"""Which replica is asked next, and when it is enough: the decisions of one call to several servers, without HTTP."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tenacity import RetryCallState

from adaptive_middleware.deadline import Deadline
from adaptive_middleware.errors import ScorerError
from adaptive_middleware.scoring.breaker import Breaker

_ROUNDS, _LONGEST_WAIT = 2, 30.0


class Unavailable(Exception):
    """A replica could not answer; another may, or the same one after `wait` seconds."""

    def __init__(self, cause: str, wait: float | None = None) -> None:
        self.wait = wait
        super().__init__(cause)


class Broken(Exception):
    """What a replica sent is no reply: it is not asked again in this call."""


class Lost(Exception):
    """The connection to a replica failed, or `late`: it did not answer in time."""

    def __init__(self, cause: str, *, late: bool = False) -> None:
        self.late = late
        super().__init__(cause)


def ranked(urls: Sequence[str], text: str) -> list[str]:
    """The replicas in the order of their claim on `text` (rendezvous hashing, Thaler and Ravishankar 1996).

    The same text goes to the same replica, which then has its prefix; when one is taken away, only its own
    texts move.

    >>> ranked(["http://a", "http://b", "http://c"], "What is 2 + 2?")[0]
    'http://c'
    """
    return sorted(
        urls, key=lambda url: hashlib.sha256(f"{url}\0{text}".encode(errors="surrogatepass")).digest()
    )


@dataclass(slots=True)
class Turn:
    """One call: the replicas in order, each asked at most twice, until `deadline` (an instant of `clock`).

    `prompt_hash` is for a proxy in front of replicas that wants to send equal questions to the same one.
    """

    order: Sequence[str]
    breakers: Mapping[str, Breaker]
    timeout: float
    deadline: float | None = None
    clock: Callable[[], float] = time.monotonic
    prompt_hash: str = ""
    _asked: int = field(default=0, init=False)
    _broken: set[str] = field(default_factory=set, init=False)
    _causes: dict[str, str] = field(default_factory=dict, init=False)

    def next(self) -> tuple[str, float]:
        """The replica to ask now, and the seconds it may take; raises `ScorerError` when there is none, or no time."""
        left = self._left()
        if left <= 0:
            message = f"no replica scored before the call's deadline: {self._said()}"
            raise ScorerError(message)
        for _ in self.order:
            url = self.order[self._asked % len(self.order)]
            self._asked += 1
            if url not in self._broken and self.breakers[url].admits():
                others = len(self.order) - len(self._broken) > 1
                return url, min(self.timeout, left / 2 if others else left)
            self._causes.setdefault(url, "left alone after failures")
        message = f"no replica can be asked now: {self._said()}"
        raise ScorerError(message)

    @contextmanager
    def asking(self, url: str, seconds: float) -> Iterator[None]:
        """Around one exchange: what it tells of the replica is kept; `Broken` and `Lost` become `Unavailable`.

        A time-out that only the call's own deadline made short says nothing of the replica.
        """
        try:
            yield
        except Broken as error:
            self._broken.add(url)
            self.breakers[url].failed()
            raise self._unavailable(url, error) from error
        except Lost as error:
            if not error.late or seconds >= self.timeout:
                self.breakers[url].failed()
            raise self._unavailable(url, error) from error
        except Unavailable as error:
            self.breakers[url].succeeded()  # it said that it is busy: it lives
            self._causes[url] = str(error)
            raise
        except ScorerError:
            self.breakers[url].succeeded()
            raise
        self.breakers[url].succeeded()

    def _unavailable(self, url: str, error: Exception) -> Unavailable:
        self._causes[url] = str(error)
        return Unavailable(str(error))

    def enough(self, state: RetryCallState) -> bool:
        """Whether not to ask again: all were asked twice, or the wait would pass the deadline."""
        over = self._asked >= _ROUNDS * len(self.order) or len(self._broken) == len(self.order)
        return over or self.wait(state) >= self._left()

    def wait(self, state: RetryCallState) -> float:
        """Seconds until the next attempt: none while there are replicas not yet asked, then what they asked for."""
        if self._asked % len(self.order):
            return 0.0
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.wait if isinstance(error, Unavailable) else None
        return min(0.2 if asked is None else asked, _LONGEST_WAIT)

    def failure(self) -> ScorerError:
        """What to raise when it is enough."""
        return ScorerError(f"no replica scored: {self._said()}")

    def _left(self) -> float:
        return Deadline(self.deadline, self.clock).left()

    def _said(self) -> str:
        causes = [f"{url} ({cause})" for url, cause in self._causes.items()]
        return "; ".join(causes) or "none was asked"
