"""Scorers that go wrong, as a configuration names them."""

from __future__ import annotations

from collections.abc import Sequence

from adaptive_middleware.types import Path, Request, StepScores


class Failing:
    """A scorer that raises what no scorer should."""

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        message = "by zero"
        raise ZeroDivisionError(message)


class Silent:
    """A scorer that says nothing of anything."""

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        return []


class Hostile:
    """A scorer whose error would clear the screen of whoever reads it."""

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        message = "\x1b[2Jscreen cleared"
        raise ValueError(message)
