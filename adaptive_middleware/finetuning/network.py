"""The trainable model: base process reward model, adapter, quantile head, and the weights of the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from adaptive_middleware.errors import CheckpointError
from adaptive_middleware.finetuning.recipes import Recipe
from adaptive_middleware.finetuning.rows import TrainingRow, micro_batches
from adaptive_middleware.scoring import quantiles_heads as heads
from adaptive_middleware.scoring.heads import StepModel
from adaptive_middleware.scoring.local import Opened
from adaptive_middleware.scoring.quantiles import FEATURES
from adaptive_middleware.scoring.quantiles_folder import Adapter
from adaptive_middleware.scoring.quantiles_reading import Floats, Reading


@dataclass(frozen=True, slots=True, eq=False)
class Student:
    """What is trained: `network` (only low-rank matrices and perhaps the output layer learn) and `weights` of the features.

    `weights` is (outputs, features), zero at first. Before training, each output that stands for a probability equals
    the base model's.
    """

    network: StepModel
    weights: nn.Parameter
    adapter: Adapter
    recipe: Recipe

    @property
    def learning(self) -> list[nn.Parameter]:
        """The parameters that training changes."""
        own = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        return [*own, self.weights] if self.recipe.features else own

    def outputs(self, rows: Sequence[TrainingRow]) -> torch.Tensor:
        """Outputs at all positions of the rows, (positions, outputs), features added, with gradients."""
        raw = self.network.outputs([one.row for one in rows])
        told = [each for one in rows for each in one.features]
        return raw + torch.tensor(told, device=raw.device, dtype=raw.dtype) @ self.weights.T

    def predicted(self, rows: Sequence[TrainingRow], count: int, tokens: int) -> Floats:
        """Outputs of `count` examples in their own order, without gradients or dropout."""
        self.network.eval()
        found = np.zeros((count, len(self.weights)))
        with torch.inference_mode():
            for group in micro_batches(rows, tokens):
                numbers = [number for one in group for number in one.numbers]
                found[numbers] = self.outputs(group).double().cpu().numpy()
        return found

    @property
    def reading(self) -> Reading:
        """How the outputs are read, features left out (`outputs` has added them) and nothing corrected yet."""
        return Reading(self.recipe.shape, self.recipe.levels)


def student(opened: Opened, recipe: Recipe) -> Student:
    """The untrained student of a base model, which is changed in place; call `torch.manual_seed` first.

    Raises `ConfigError` for a family that cannot be fine-tuned or without peft, `CheckpointError` for such an architecture.
    """
    network = opened.network
    network.head = heads.quantile_head(opened.kind, network.head, recipe.rows)
    layers = getattr(network.trunk.config, "num_hidden_layers", None)  # transformers' type, not ours
    if not isinstance(layers, int):
        message = (
            f"{opened.name}: its configuration does not say how many layers it has: it cannot be fine-tuned"
        )
        raise CheckpointError(message)
    adapter = recipe.adapter(layers, _linear_names(network))
    heads.adapted(network, adapter)
    for parameter in heads.output_layer(network).values():
        parameter.requires_grad_(recipe.trained_output)
    weights = nn.Parameter(torch.zeros(len(recipe.rows), len(FEATURES), device=network.trunk.device))
    return Student(network, weights, adapter, recipe)


def _linear_names(network: StepModel) -> tuple[str, ...]:
    """Full names of the head's linear layers, the last one last."""
    return tuple(
        name
        for name, part in network.named_modules()
        if name.startswith("head") and isinstance(part, nn.Linear)
    )
