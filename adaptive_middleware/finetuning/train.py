"""The training loop: AdamW on shuffled examples, a rate that falls to zero, a stop at a loss that is not finite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

import torch
from torch import nn

from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.finetuning.losses import Targets, loss
from adaptive_middleware.finetuning.network import Student
from adaptive_middleware.finetuning.recipes import Epoch, Say
from adaptive_middleware.finetuning.rows import TrainingRow, batches, micro_batches

_LARGEST_STEP = 1.0
_RIDGE, _ITERATIONS = 1e-3, 60


@dataclass(frozen=True, slots=True)
class Run:
    """How one training goes: its name in progress lines, its seed, the most padded tokens of one forward, whom to tell."""

    part: str
    seed: int
    tokens: int
    say: Say


def train(student: Student, rows: Sequence[TrainingRow], kept: Sequence[TrainingRow], run: Run) -> None:
    """Train in place; `kept` rows are only measured after each epoch, and may be empty.

    The weights of the features are fitted first, to the untrained network (`warm_start`). Gradients of one batch add up
    over as many forwards as it needs. Raises `CalibrationError` naming epoch and step for a loss that is not finite; the
    student is then of no use.
    """
    recipe, started = student.recipe, monotonic()
    if recipe.features:
        warm_start(student, rows, run.tokens)
    plan = [batches(rows, recipe.batch, run.seed + epoch) for epoch in range(recipe.epochs)]
    optimiser = torch.optim.AdamW(student.learning, weight_decay=0.0)
    rates = [group["lr"] for group in optimiser.param_groups]
    total, done = sum(map(len, plan)), 0
    for epoch, dealt in enumerate(plan, start=1):
        student.network.train()
        losses = []
        for step, batch in enumerate(dealt, start=1):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * (1 - done / total)
            where = f"{run.part}, epoch {epoch}, step {step} of {len(dealt)}"
            losses.append(_step(student, batch, optimiser, run.tokens, where))
            done += 1
        mean, apart = sum(losses) / len(losses), measured(student, kept, run.tokens)
        run.say(Epoch(run.part, epoch, recipe.epochs, mean, apart, monotonic() - started))
    student.network.eval()


def warm_start(student: Student, rows: Sequence[TrainingRow], tokens: int) -> None:
    """Fit the weights of the features alone (L-BFGS, slightly ridged), so that training begins calibrated."""
    student.network.eval()
    groups = micro_batches(rows, tokens)
    with torch.inference_mode():
        parts = [student.network.outputs([one.row for one in group]).double() for group in groups]
    raw, known = torch.cat(parts).clone(), _known([one for group in groups for one in group], parts[0].device)
    features = student.features([one for group in groups for one in group]).to(raw)
    optimiser = torch.optim.LBFGS([student.weights], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        mean = (
            _loss(student, student.told(raw, features), known).mean()
            + _RIDGE * student.weights.square().sum()
        )
        torch.autograd.backward(mean)
        return mean.detach()

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    optimiser.zero_grad()


def measured(student: Student, rows: Sequence[TrainingRow], tokens: int) -> float | None:
    """Mean loss of these rows without dropout; None where there are none."""
    if not rows:
        return None
    student.network.eval()
    with torch.inference_mode():
        sums = [_losses(student, group).sum().item() for group in micro_batches(rows, tokens)]
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
    for own in optimiser.param_groups:
        nn.utils.clip_grad_norm_(own["params"], _LARGEST_STEP)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return total


def _losses(student: Student, rows: Sequence[TrainingRow]) -> torch.Tensor:
    raw = student.outputs(rows)
    return _loss(student, raw, _known(rows, raw.device))


def _loss(student: Student, raw: torch.Tensor, known: Targets) -> torch.Tensor:
    levels = torch.tensor(student.recipe.levels, device=raw.device, dtype=raw.dtype)
    return loss(student.recipe.shape, levels, raw, known)


def _known(rows: Sequence[TrainingRow], place: torch.device) -> Targets:
    right = [value for row in rows for value in row.right]
    trials = [value for row in rows for value in row.trials]
    finished = [value for row in rows for value in row.finished]
    return Targets(*(torch.tensor(values, device=place) for values in (right, trials, finished)))
