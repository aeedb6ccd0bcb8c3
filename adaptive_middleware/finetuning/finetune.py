"""Fine-tune a process reward model on labelled paths, correct it on problems kept apart, and measure it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np
import torch

from adaptive_middleware.calibration.conformal import folds
from adaptive_middleware.finetuning.correct import corrections
from adaptive_middleware.finetuning.figures import Figures, figures
from adaptive_middleware.finetuning.labelled import Labelled, check_trainable, unfinished
from adaptive_middleware.finetuning.network import Student, student
from adaptive_middleware.finetuning.recipes import Recipe, Say
from adaptive_middleware.finetuning.rows import TrainingRow, training_rows
from adaptive_middleware.finetuning.train import Run, train
from adaptive_middleware.scoring.local import Opened
from adaptive_middleware.scoring.quantiles import quantile_estimate
from adaptive_middleware.scoring.quantiles_reading import Floats, Reading
from adaptive_middleware.scoring.rows import Layout
from adaptive_middleware.types import Path, StepScores


@dataclass(frozen=True, slots=True, eq=False)
class FineTuned:
    """A trained student with its corrected reading, the seconds that all took, and how many problems taught it."""

    student: Student
    reading: Reading
    opened: Opened
    seconds: float
    problems: int


def finetune(  # noqa: PLR0913 - keywords
    opened: Opened, labelled: Sequence[Labelled], recipe: Recipe, *, seed: int = 0, window: int = 2048,
    tokens: int = 8192, say: Say = lambda _: None,
) -> FineTuned:  # fmt: skip
    """Fine-tune the opened model (it is changed in place); the same data, recipe and seed give the same one on a CPU.

    With `folds`, each fold's problems are first predicted by a student that was trained without them; these predictions teach the
    corrections, and the student that is returned is trained on all problems (as `calibration.conformal` uses its folds). `window` is the
    longest row and `tokens` the most padded tokens computed at once. Raises `CalibrationError` for data that nothing can be
    learned from and for a loss that is not finite; `ConfigError` and `CheckpointError` as `network.student` does.
    """
    usable = list(labelled) if recipe.finished else unfinished(labelled)
    check_trainable(usable)
    apart = parts(usable, recipe.folds, seed)
    for kept in apart:
        check_trainable(_without(usable, kept))
    started = monotonic()
    torch.manual_seed(seed)
    pupil = student(opened, recipe)
    desk = _Desk(
        pupil,
        pupil.state(),
        usable,
        opened.family.layout,
        min(window, opened.window),
        Run("all problems", seed, tokens, say),
    )
    reading = Reading(recipe.shape, recipe.levels)
    if apart:
        raw = desk.predicted_apart(apart)
        reading = replace(reading, corrections=corrections(reading, raw, [one.example for one in usable]))
    desk.train((), "all problems")
    problems = len({one.example.group for one in usable})
    return FineTuned(pupil, _told(reading, pupil), opened, monotonic() - started, problems)


def _told(reading: Reading, pupil: Student) -> Reading:
    """The reading with what the student learned of the features."""
    if not pupil.recipe.features:
        return reading
    weights, scales = (tuple(map(tuple, part)) for part in pupil.weights.detach().cpu().double().tolist())
    return replace(reading, weights=weights, scales=scales)


@dataclass(frozen=True, slots=True, eq=False)
class _Desk:
    """A student, how it was before it learned anything, and what it learns from."""

    pupil: Student
    untaught: Sequence[torch.Tensor]
    usable: Sequence[Labelled]
    layout: Layout
    window: int
    run: Run

    def rows(self, numbers: Sequence[int]) -> list[TrainingRow]:
        """Rows of these examples; their `numbers` count within them."""
        share = self.pupil.recipe.finished
        return training_rows([self.usable[i] for i in numbers], self.layout, self.window, share=share)

    def train(self, kept: Sequence[int], part: str) -> list[TrainingRow]:
        """Teach anew, all but the `kept` examples, whose rows are returned."""
        self.pupil.restore(self.untaught)
        torch.manual_seed(self.run.seed)
        apart = set(kept)
        seen = self.rows([i for i in range(len(self.usable)) if i not in apart])
        rows = self.rows(kept)
        train(self.pupil, seen, rows, replace(self.run, part=part))
        return rows

    def predicted_apart(self, apart: Sequence[Sequence[int]]) -> Floats:
        """Outputs for every example by a student that was taught without its problem."""
        raw = np.zeros((len(self.usable), len(self.pupil.recipe.rows)))
        for number, kept in enumerate(apart, start=1):
            rows = self.train(kept, f"fold {number} of {len(apart)}")
            raw[list(kept)] = self.pupil.predicted(rows, len(kept), self.run.tokens)
        return raw


def parts(labelled: Sequence[Labelled], count: int, seed: int) -> list[list[int]]:
    """Indices of the examples in each of `count` folds, by problem; none for a count of 0."""
    of = folds([one.example.group for one in labelled], max(count, 1), seed)
    return [[i for i, one in enumerate(labelled) if of[one.example.group] == fold] for fold in range(count)]


def _without(labelled: Sequence[Labelled], kept: Sequence[int]) -> list[Labelled]:
    apart = set(kept)
    return [one for i, one in enumerate(labelled) if i not in apart]


def scored(
    tuned: FineTuned, labelled: Sequence[Labelled], *, window: int = 2048, tokens: int = 8192
) -> list[StepScores]:
    """Mean and quantiles that the tuned model gives the end of each path."""
    rows = training_rows(labelled, tuned.opened.family.layout, min(window, tuned.opened.window), share=True)
    raw = tuned.student.predicted(rows, len(labelled), tokens)
    kinds = [one.example.kind for one in labelled]
    reading = replace(tuned.reading, weights=(), scales=())  # the student has added the features
    means, quantiles = reading(raw, np.zeros((len(raw), 0)), kinds)
    pairs = [tuple(zip(reading.levels, row, strict=True)) for row in quantiles.tolist()]
    return [StepScores((mean,), quantiles=(pair,)) for mean, pair in zip(means.tolist(), pairs, strict=True)]


def measured(
    tuned: FineTuned, labelled: Sequence[Labelled], *, window: int = 2048, tokens: int = 8192
) -> dict[str, Figures]:
    """Figures of the tuned model on paths that took no part in its training."""
    found = scored(tuned, labelled, window=window, tokens=tokens)
    said = [one.quantiles[-1] for one in found if one.quantiles]
    estimates = [quantile_estimate(Path(), one) for one in found]
    return figures(estimates, said, [one.example for one in labelled])
