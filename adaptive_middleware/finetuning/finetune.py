"""Fine-tune a process reward model on labelled paths, correct it on problems kept apart, and measure it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from time import monotonic

import numpy as np
import torch

from adaptive_middleware.finetuning.correct import corrections
from adaptive_middleware.finetuning.figures import Figures, figures
from adaptive_middleware.finetuning.labelled import Labelled, check_trainable, unfinished
from adaptive_middleware.finetuning.network import Student, student
from adaptive_middleware.finetuning.recipes import Recipe, Say
from adaptive_middleware.finetuning.rows import training_rows
from adaptive_middleware.finetuning.train import train
from adaptive_middleware.scoring.local import Opened
from adaptive_middleware.scoring.quantiles import quantile_estimate
from adaptive_middleware.scoring.quantiles_reading import Reading
from adaptive_middleware.types import Path, StepScores


@dataclass(frozen=True, slots=True, eq=False)
class FineTuned:
    """A trained student with its corrected reading, the seconds it took, and how many problems taught what."""

    student: Student
    reading: Reading
    opened: Opened
    seconds: float
    trained_problems: int
    kept_problems: int


def finetune(  # noqa: PLR0913 - keywords
    opened: Opened, labelled: Sequence[Labelled], recipe: Recipe, *, seed: int = 0, window: int = 2048,
    tokens: int = 8192, say: Say = lambda _: None,
) -> FineTuned:  # fmt: skip
    """Fine-tune the opened model (it is changed in place); the same data, recipe and seed give the same one on a CPU.

    `window` is the longest row and `tokens` the most padded tokens computed at once. Raises `CalibrationError` for data that nothing
    can be learned from and for a loss that is not finite; `ConfigError` and `CheckpointError` as `network.student` does.
    """
    usable = list(labelled) if recipe.finished else unfinished(labelled)
    check_trainable(usable)
    seen, kept = split(usable, recipe.held_out, seed)
    check_trainable(seen)
    started = monotonic()
    torch.manual_seed(seed)
    pupil = student(opened, recipe)
    window = min(window, opened.window)
    share = recipe.finished
    rows = training_rows(seen, opened.family.layout, window, share=share)
    apart = training_rows(kept, opened.family.layout, window, share=share)
    train(pupil, rows, apart, seed=seed, tokens=tokens, say=say)
    reading = pupil.reading
    if kept:
        raw = pupil.predicted(apart, len(kept), tokens)
        reading = replace(reading, corrections=corrections(reading, raw, [one.example for one in kept]))
    reading = replace(reading, weights=_weights(pupil))
    problems = [len({one.example.group for one in part}) for part in (seen, kept)]
    return FineTuned(pupil, reading, opened, monotonic() - started, *problems)


def split(labelled: Sequence[Labelled], share: float, seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """(to train on, kept apart), by problem: the problems are shuffled by `seed`, and `share` of them kept."""
    problems = sorted({one.example.group for one in labelled})
    Random(seed).shuffle(problems)  # noqa: S311 - a split of data, not a secret
    apart = set(problems[: round(share * len(problems))])
    return (
        [one for one in labelled if one.example.group not in apart],
        [one for one in labelled if one.example.group in apart],
    )


def scored(
    tuned: FineTuned, labelled: Sequence[Labelled], *, window: int = 2048, tokens: int = 8192
) -> list[StepScores]:
    """Mean and quantiles that the tuned model gives the end of each path."""
    rows = training_rows(labelled, tuned.opened.family.layout, min(window, tuned.opened.window), share=True)
    raw = tuned.student.predicted(rows, len(labelled), tokens)
    kinds = [one.example.kind for one in labelled]
    reading = replace(tuned.reading, weights=())  # the student has added the features
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


def _weights(pupil: Student) -> tuple[tuple[float, ...], ...]:
    if not pupil.recipe.features:
        return ()
    return tuple(tuple(row) for row in pupil.weights.detach().cpu().double().tolist())
