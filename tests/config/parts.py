"""A user's own parts, as a configuration names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from adaptive_middleware.types import Candidate, Outcome, Path, Request, State, StepScores, Verdict

SOMETHING = 3


@dataclass(frozen=True)
class Scores:
    """Gives every step the same score."""

    value: float = 0.5
    id: str = "constant"

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        return [StepScores((self.value,) * max(len(path.steps), 1)) for path in paths]


@dataclass(frozen=True)
class Anonymous:
    """A scorer without an id."""

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        return [StepScores((0.5,)) for _ in paths]


@dataclass(frozen=True)
class Contains:
    """Passes answers that contain a word."""

    word: str

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        return [Verdict(self.word in path.text, self.word) for path in paths]


def until(n: int) -> Callable[[State], int]:
    """A policy that is a lambda."""
    return lambda state: n - state.drawn


def broken() -> object:
    message = "the user's own error"
    raise RuntimeError(message)


def shorter_than(n: int) -> Callable[[State, Candidate], bool]:
    """A rule of open answers."""
    return lambda state, candidate: len(candidate.path.steps) < n


class Observations:
    """An observer that notes, for all of its kind, who was told of which call."""

    told: ClassVar[list[tuple[str, str | None]]] = []

    def __init__(self, label: str) -> None:
        self.label = label

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        self.told.append((self.label, outcome.id))
