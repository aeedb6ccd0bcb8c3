"""The questions of one decision: what has to be scored to answer them, each thing once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self, TypeAlias

from adaptive_middleware.errors import NotAnswerable, ScorerError
from adaptive_middleware.ports import Calibrator
from adaptive_middleware.types import Estimate, Path, Request, StepScores
from langchain_adaptive.choices import Answers, Routes
from langchain_adaptive.judged import Judged


@dataclass(frozen=True, slots=True)
class Right:
    """How likely the answer is right or, where there is none yet, one that will be drawn."""

    def paths(self, judged: Judged) -> tuple[Path, ...]:
        """The answer, or the question alone."""
        return (judged.path,)

    def choose(self, estimates: Sequence[Estimate]) -> float:
        """The calibrated mean, in [0, 1]."""
        return estimates[0].mean


Plan: TypeAlias = Right | Answers | Routes
"""How one question is answered from estimates of its paths."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one request asks: a plan for each question, and the distinct `paths` that they need scored."""

    judged: Judged
    plans: Mapping[str, Plan]
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, judged: Judged, plans: Mapping[str, Plan]) -> Self:
        """Raises `NotAnswerable` where nothing is asked, and as the plans do."""
        if not plans:
            message = "the request has no questions: give at least one"
            raise NotAnswerable(message)
        paths: list[Path] = []
        for path in chain.from_iterable(plan.paths(judged) for plan in plans.values()):
            if path not in paths:
                paths.append(path)
        return cls(judged, plans, tuple(paths))

    @property
    def request(self) -> Request:
        """The question that is judged, as the scorer reads it."""
        return self.judged.request

    def estimates(self, scores: Sequence[StepScores], calibrate: Calibrator) -> list[Estimate]:
        """The calibrated estimate of each of the `paths`; raises `ScorerError` for scores that were rejected."""
        for path, one in zip(self.paths, scores, strict=True):
            if one.rejected is not None:
                what = f"the answer {path.text!r}" if path.steps else "the question alone"
                message = f"there is no usable score of {what}: {one.rejected}"
                raise ScorerError(message)
        return [calibrate(path, one) for path, one in zip(self.paths, scores, strict=True)]

    def of_plan(self, plan: Plan, estimates: Sequence[Estimate]) -> list[Estimate]:
        """Of the `estimates` those that answer `plan`, in the order of its paths."""
        return [estimates[self.paths.index(path)] for path in plan.paths(self.judged)]
