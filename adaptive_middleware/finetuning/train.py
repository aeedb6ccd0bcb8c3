"""The training loop: AdamW on shuffled examples, a rate that falls to zero, and a stop at the first loss that is not finite."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

import torch
from torch import nn

from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.finetuning.losses import Targets, loss
from adaptive_middleware.finetuning.network import Student
from adaptive_middleware.finetuning.recipes import Epoch, Say
from adaptive_middleware.finetuning.rows import TrainingRow, batches, micro_batches

_LARGEST_STEP = 1.0


def train(  # noqa: PLR0913 - keywords
    student: Student,
    rows: Sequence[TrainingRow],
    kept: Sequence[TrainingRow],
    *,
    seed: int,
    tokens: int,
    say: Say,
) -> None:
    """Train in place; `kept` rows are only measured after each epoch, and may be empty.

    `tokens` bounds the padded tokens of one forward; gradients add up to whole batches. Raises `CalibrationError` naming epoch and
    step for a loss that is not finite; the student is then of no use.
    """
    recipe, started = student.recipe, monotonic()
    plan = [batches(rows, recipe.batch, seed + epoch) for epoch in range(recipe.epochs)]
    optimiser = torch.optim.AdamW(student.learning, lr=recipe.rate, weight_decay=0.0)
    total, done = sum(map(len, plan)), 0
    for epoch, dealt in enumerate(plan, start=1):
        student.network.train()
        losses = []
        for step, batch in enumerate(dealt, start=1):
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate * (1 - done / total)
            losses.append(
                _step(student, batch, optimiser, tokens, f"epoch {epoch}, step {step} of {len(dealt)}")
            )
            done += 1
        say(
            Epoch(
                epoch,
                recipe.epochs,
                sum(losses) / len(losses),
                measured(student, kept, tokens),
                monotonic() - started,
            )
        )
    student.network.eval()


def measured(student: Student, rows: Sequence[TrainingRow], tokens: int) -> float | None:
    """Mean loss of these rows without dropout; None where there are none."""
    if not rows:
        return None
    student.network.eval()
    with torch.inference_mode():
        sums = [float(_losses(student, group).sum()) for group in micro_batches(rows, tokens)]
    return sum(sums) / sum(len(row.right) for row in rows)


def _step(
    student: Student, batch: Sequence[TrainingRow], optimiser: torch.optim.Optimizer, tokens: int, where: str
) -> float:
    """One clipped step on a batch; the mean loss of its examples before it."""
    size, total = sum(len(row.right) for row in batch), 0.0
    for group in micro_batches(batch, tokens):
        mean = _losses(student, group).sum() / size
        if not torch.isfinite(mean):
            message = (
                f"the loss is {mean.item()!r} at {where}: the training stopped and nothing was written; lower the rate, or "
                "train in float32"
            )
            raise CalibrationError(message)
        torch.autograd.backward(mean)
        total += mean.item()
    nn.utils.clip_grad_norm_(student.learning, _LARGEST_STEP)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return total


def _losses(student: Student, rows: Sequence[TrainingRow]) -> torch.Tensor:
    raw = student.outputs(rows)
    right = [value for row in rows for value in row.right]
    trials = [value for row in rows for value in row.trials]
    finished = [value for row in rows for value in row.finished]
    known = Targets(*(torch.tensor(values, device=raw.device) for values in (right, trials, finished)))
    levels = torch.tensor(student.recipe.levels, device=raw.device, dtype=raw.dtype)
    return loss(student.recipe.shape, levels, raw, known)
