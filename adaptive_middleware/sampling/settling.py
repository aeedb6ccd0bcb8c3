"""What streamers of threads and of tasks have in common: failures as data, and the time that is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from adaptive_middleware.deadline import MARGIN, Deadline
from adaptive_middleware.errors import DeadlineExceeded, NotStreaming, SamplerError
from adaptive_middleware.types import Path

T = TypeVar("T")


class StreamStalled(SamplerError):
    """A streamed answer was silent for too long."""

    code = "AMW-E316"
    remedy = "Nothing, if it is rare; else raise `Patience.idle`, or look at the load of the endpoint."


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a stream failed, and whether that was before its first piece."""

    error: BaseException
    first: bool

    def __str__(self) -> str:
        return f"{type(self.error).__name__}: {self.error}"


def first_failure(failures: Sequence[Failure | None]) -> BaseException | None:
    """The error to raise: the first, when every stream failed before its first piece, as in `fan_out`.

    `NotStreaming` before a first piece is raised even when others did stream.
    """
    early = [failure.error for failure in failures if failure is not None and failure.first]
    refused = [error for error in early if isinstance(error, NotStreaming)]
    if early and (refused or len(early) == len(failures)):
        return (refused or early)[0]
    return None


def stalled(idle: float) -> StreamStalled:
    """The error of a stream that was silent for `idle` seconds."""
    return StreamStalled(f"no piece of the streamed answer in {idle:g} s")


def late() -> DeadlineExceeded:
    """The error of a stream that is cut off by the call's deadline."""
    return DeadlineExceeded("the streamed answer had not ended at the call's deadline")


def opened(path: Path, kind: type[T]) -> T:
    """The stream behind an open path; raises `SamplerError` for a path that this streamer did not open."""
    if isinstance(path.raw, kind):
        return path.raw
    message = f"not an open path of this streamer: {path.text[:40]!r} (ended: {path.ended})"
    raise SamplerError(message)


def seconds_left(deadline: float | None) -> float | None:
    """Seconds until the answers must be back, at least 0; None without a deadline."""
    return Deadline(deadline).seconds(MARGIN)
