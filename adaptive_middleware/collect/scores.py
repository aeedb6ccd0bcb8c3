"""Scores of a problem's paths as one unit of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

from adaptive_middleware.collect.control import Control, Spent
from adaptive_middleware.collect.failures import failure
from adaptive_middleware.collect.journal import Journal
from adaptive_middleware.collect.prompts import Prompt
from adaptive_middleware.errors import ScorerError
from adaptive_middleware.ports import Scorer
from adaptive_middleware.types import Path, Request, StepScores
from adaptive_middleware.verify.attempt import Failed, attempt

_WHAT = "process reward model"


@dataclass(frozen=True, slots=True)
class Scoring:
    """A scorer that one thread at a time may use, and where its scores are written down."""

    scorer: Scorer
    journal: Journal
    control: Control
    turn: Lock = field(default_factory=Lock)


def score(by: Scoring, prompt: Prompt, paths: Sequence[Path]) -> list[tuple[float, ...]]:
    """The step scores of each path of a problem; none where the scorer rejected them."""
    key = f"scores:{prompt.id}"
    unit = by.journal.get(key)
    if unit is None:
        by.control.begin(0)
        with by.turn:
            found = attempt(partial(_scores, by.scorer, prompt, paths))
        if isinstance(found, Failed):
            raise failure(by.journal, by.control, key, _WHAT, found)
        by.control.worked(_WHAT)
        tokens = sum(one.tokens for one in found)
        unit = {"scores": [_usable(one) for one in found], "prm_tokens": tokens}
        by.journal.put(key, unit)
        by.control.end(0, Spent(prm_tokens=tokens))
    return [tuple(values) for values in unit["scores"]]


def _scores(scorer: Scorer, prompt: Prompt, paths: Sequence[Path]) -> Sequence[StepScores]:
    found = scorer.score(Request(prompt.question, run_id=prompt.id), paths)
    if len(found) != len(paths):
        message = f"it gave {len(found)} sets of scores for {len(paths)} paths"
        raise ScorerError(message)
    return found


def _usable(scores: StepScores) -> list[float]:
    """The scores, or none at all where they were rejected or one is NaN or out of range."""
    usable = scores.rejected is None and all(0 <= value <= 1 for value in scores.values)
    return [float(value) for value in scores.values] if usable else []
