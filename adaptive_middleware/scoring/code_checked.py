"""A cheap check before a process reward model: answers whose code is broken are scored 0, and it never reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from adaptive_middleware.errors import ScorerError
from adaptive_middleware.ports import ConcurrentScorer, Scorer
from adaptive_middleware.scoring.code_signals import code_signals
from adaptive_middleware.types import Path, Request, StepScores


def code_checked(scorer: Scorer, entry: str | None = None) -> Scorer:
    """The scorer with the check before it; it takes calls from any thread where `scorer` does.

    Where the last step of an answer scores 0 by `code_signals`, every step has the value of that, at no tokens; all other
    answers have the scores of `scorer`, which sees them in one call. Its `id` stays: calibrations fitted for it hold.
    """
    if isinstance(scorer, ConcurrentScorer):
        return _Concurrent(scorer, code_signals(entry))
    return _Checked(scorer, code_signals(entry))


@dataclass(frozen=True, slots=True)
class _Checked:
    scorer: Scorer
    check: code_signals

    @property
    def id(self) -> str:
        return str(getattr(self.scorer, "id", ""))

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        found = self.check.score(request, paths)
        standing = _standing(found)
        if standing:
            scores = self.scorer.score(request, [paths[i] for i in standing])
            return _merged(found, standing, scores)
        return found


@dataclass(frozen=True, slots=True)
class _Concurrent(_Checked):
    scorer: ConcurrentScorer

    @property
    def concurrent(self) -> Literal[True]:
        return True

    async def ascore(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        found = self.check.score(request, paths)
        standing = _standing(found)
        if standing:
            scores = await self.scorer.ascore(request, [paths[i] for i in standing])
            return _merged(found, standing, scores)
        return found


def _standing(found: Sequence[StepScores]) -> list[int]:
    return [i for i, scores in enumerate(found) if scores.values[-1] > 0]


def _merged(
    found: Sequence[StepScores], standing: Sequence[int], scores: Sequence[StepScores]
) -> list[StepScores]:
    if len(scores) != len(standing):
        message = f"the scorer returned {len(scores)} score sets for {len(standing)} paths"
        raise ScorerError(message)
    own = dict(zip(standing, scores, strict=True))
    return [own.get(i, one) for i, one in enumerate(found)]
