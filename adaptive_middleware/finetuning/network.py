"""The trainable model: base process reward model, adapter, quantile head, and the weights of the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
from adaptive_middleware.scoring.quantiles_reading import STEEPEST, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Student:
    """What is trained: `network` (only low-rank matrices and perhaps the output layer learn) and `weights` of the features.

    `weights` is (2, outputs, features), zero at first: what features add to the outputs, and the logarithm of what they multiply them
    with. Before training, each output that stands for a probability equals the base model's.
    """

    network: StepModel
    weights: nn.Parameter
    adapter: Adapter
    recipe: Recipe

    @property
    def learning(self) -> list[dict[str, Any]]:
        """The parameters that training changes, in groups with their rates."""
        own = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        groups = [{"params": own, "lr": self.recipe.rate}]
        return (
            [*groups, {"params": [self.weights], "lr": self.recipe.feature_rate}]
            if self.recipe.features
            else groups
        )

    def outputs(self, rows: Sequence[TrainingRow]) -> torch.Tensor:
        """Outputs at all positions of the rows, (positions, outputs), with what the features do to them, and gradients."""
        raw = self.network.outputs([one.row for one in rows])
        return self.told(raw, self.features(rows).to(raw))

    def told(self, raw: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """The outputs with what the features do to them, as `Reading.completed` does it."""
        added, scaled = self.weights.to(raw).unbind(0)
        factors: torch.Tensor = torch.exp((features @ scaled.T).clamp(-STEEPEST, STEEPEST))
        return raw * factors + features @ added.T

    @staticmethod
    def features(rows: Sequence[TrainingRow]) -> torch.Tensor:
        """Features at all positions of the rows."""
        return torch.tensor([each for one in rows for each in one.features])

    def state(self) -> list[torch.Tensor]:
        """Copies of all that learns, for `restore`."""
        return [one.detach().clone() for group in self.learning for one in group["params"]]

    def restore(self, state: Sequence[torch.Tensor]) -> None:
        """Be as when `state` was taken."""
        own = [one for group in self.learning for one in group["params"]]
        with torch.no_grad():
            for parameter, value in zip(own, state, strict=True):
                parameter.copy_(value)

    def predicted(self, rows: Sequence[TrainingRow], count: int, tokens: int) -> Floats:
        """Outputs of `count` examples in their own order, without gradients or dropout."""
        self.network.eval()
        found = np.zeros((count, len(self.recipe.rows)))
        with torch.inference_mode():
            for group in micro_batches(rows, tokens):
                numbers = [number for one in group for number in one.numbers]
                found[numbers] = self.outputs(group).double().cpu().numpy()
        return found


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
    weights = nn.Parameter(torch.zeros(2, len(recipe.rows), len(FEATURES), device=network.trunk.device))
    return Student(network, weights, adapter, recipe)


def _linear_names(network: StepModel) -> tuple[str, ...]:
    """Full names of the head's linear layers, the last one last."""
    return tuple(
        name
        for name, part in network.named_modules()
        if name.startswith("head") and isinstance(part, nn.Linear)
    )
