"""The trunk of a language model with the head of a process reward model on top.

Heads are our own small modules, filled from the public checkpoints' tensor names, and always compute in
float32: they see only the rows that are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModel

from adaptive_middleware import pretrained
from adaptive_middleware.checkpoint import Checkpoint
from adaptive_middleware.errors import CheckpointError
from adaptive_middleware.scoring.rows import Row

_RESHAPED = ("final_logit_softcapping", "logit_scale", "logits_scaling")


class StepModel(nn.Module):
    """Scores rows: right-padded token ids in, the head's outputs at the rows' positions out."""

    def __init__(self, trunk: Any, head: nn.Module, padding: int) -> None:  # noqa: ANN401
        super().__init__()
        self.trunk, self.head, self.padding = trunk, head, padding

    @torch.inference_mode()
    def forward(self, rows: Sequence[Row]) -> list[list[float]]:
        """One list of logits per scored position, row after row."""
        logits: list[list[float]] = self.outputs(rows).tolist()
        return logits

    def outputs(self, rows: Sequence[Row]) -> torch.Tensor:
        """The logits as a tensor, (positions, outputs of the head), through which gradients flow."""
        width = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), width), self.padding)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, : len(row.ids)] = torch.tensor(row.ids)
            mask[index, : len(row.ids)] = 1
        place = self.trunk.device
        out = self.trunk(input_ids=ids.to(place), attention_mask=mask.to(place), use_cache=False)
        at = [(index, position) for index, row in enumerate(rows) for position in row.positions]
        which, where = torch.tensor(at, device=place).unbind(-1)
        logits: torch.Tensor = self.head(out.last_hidden_state[which, where].float())
        return logits


def class_head(checkpoint: Checkpoint) -> nn.Module:
    """Qwen2.5-Math-PRM: `score.0`, ReLU, `score.2`."""
    return nn.Sequential(_linear(checkpoint, "score.0"), nn.ReLU(), _linear(checkpoint, "score.2", 2))


def value_head(checkpoint: Checkpoint) -> nn.Module:
    """Skywork-o1-Open-PRM: `v_head.summary`, one value."""
    return _linear(checkpoint, "v_head.summary", 1)


def validity_head(checkpoint: Checkpoint) -> nn.Module:
    """ReasonEval: `score_head`, three classes (negative, neutral, positive)."""
    return _linear(checkpoint, "score_head", 3)


def label_head(checkpoint: Checkpoint, trunk: Any, labels: Sequence[int]) -> nn.Module:  # noqa: ANN401
    """A language model's output layer, of which only the rows of `labels` are kept."""
    if changed := [key for key in _RESHAPED if checkpoint.config.get(key) not in (None, 1, 1.0)]:
        message = f"{checkpoint.folder} reshapes its logits ({changed[0]}), which is not supported: take another model"
        raise CheckpointError(message)
    if trunk.config.tie_word_embeddings and "lm_head.weight" not in checkpoint.files:
        weight = trunk.get_input_embeddings().weight.detach().float().cpu()
    else:
        weight = pretrained.load_tensor(checkpoint, "lm_head.weight")
    kept = list(labels)
    bias = (
        pretrained.load_tensor(checkpoint, "lm_head.bias")[kept]
        if "lm_head.bias" in checkpoint.files
        else None
    )
    return _filled(weight[kept], bias)


def load_trunk(checkpoint: Checkpoint, place: torch.device, dtype: torch.dtype) -> Any:  # noqa: ANN401
    """The transformer without any head."""
    return pretrained.load_model(AutoModel, checkpoint, place, dtype)


def _linear(checkpoint: Checkpoint, name: str, outputs: int | None = None) -> nn.Linear:
    weight = pretrained.load_tensor(checkpoint, f"{name}.weight")
    bias = pretrained.load_tensor(checkpoint, f"{name}.bias") if f"{name}.bias" in checkpoint.files else None
    hidden = checkpoint.config.get("hidden_size")
    expected = (hidden if outputs is None else outputs, hidden)
    if tuple(weight.shape) != expected or (bias is not None and tuple(bias.shape) != expected[:1]):
        message = (
            f"{checkpoint.folder}: {name}.weight has the shape {tuple(weight.shape)} instead of {expected}"
        )
        raise CheckpointError(message)
    return _filled(weight, bias)


def _filled(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.contiguous(), requires_grad=False)
    return layer
