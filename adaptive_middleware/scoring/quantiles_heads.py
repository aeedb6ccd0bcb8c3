"""A process reward model's head made into a quantile head, and low-rank adapters put into its trunk by peft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from adaptive_middleware.errors import CheckpointError, ConfigError
from adaptive_middleware.scoring.heads import StepModel
from adaptive_middleware.scoring.quantiles_folder import Adapter

TUNABLE = ("qwen-math-prm", "skywork-prm", "math-shepherd", "rlhflow")
"""Families whose probability is the logistic function of one linear form, so that a new output can begin as it."""

_WHY_NOT = {
    "reasoneval": "its probability sums two of three classes, which no single output can begin as",
    "judge": "a judge is asked in words and has no head of its own to fine-tune",
}


def quantile_head(family: str, head: nn.Module, rows: Sequence[tuple[float, float]]) -> nn.Module:
    """The head with a new last layer: output i begins as `scale` * logit of the old probability + `offset`.

    `rows` gives (scale, offset) of each output; the logit is the difference of the rows for right and for wrong
    (Park et al. 2025: w_pos - w_neg, b_pos - b_neg). Raises `ConfigError` for a family that cannot be fine-tuned.
    """
    if family not in TUNABLE:
        why = _WHY_NOT.get(family, "it is not known")
        message = f"the family {family!r} cannot be fine-tuned: {why}; use one of {', '.join(TUNABLE)}, or calibrate post hoc"
        raise ConfigError(message)
    state = last_layer(head).state_dict()
    weight, bias = state["weight"], state.get("bias", torch.zeros_like(state["weight"][:, 0]))
    if family == "skywork-prm":
        w, b = weight[0], bias[0]
    else:
        right, wrong = (1, 0) if family == "qwen-math-prm" else (0, 1)
        w, b = weight[right] - weight[wrong], bias[right] - bias[wrong]
    scales, offsets = torch.tensor(rows, device=w.device, dtype=w.dtype).unbind(-1)
    layer = nn.Linear(len(w), len(rows), device=w.device, dtype=w.dtype)
    with torch.no_grad():
        layer.weight.copy_(scales[:, None] * w)
        layer.bias.copy_(scales * b + offsets)
    return nn.Sequential(*list(head)[:-1], layer) if isinstance(head, nn.Sequential) else layer


def last_layer(head: nn.Module) -> nn.Linear:
    """The output layer of a head; peft's wrapper around it gives the layer inside."""
    last = head[-1] if isinstance(head, nn.Sequential) else head
    inner = last.get_submodule("base_layer") if "base_layer" in dict(last.named_children()) else last
    if not isinstance(inner, nn.Linear):
        message = (
            f"the head ends in a {type(inner).__name__}, not in a linear layer: it is of an unknown family"
        )
        raise CheckpointError(message)
    return inner


def adapted(network: StepModel, adapter: Adapter) -> StepModel:
    """The network with the adapter's low-rank matrices, which change nothing yet; they alone require gradients.

    peft matches `modules` at the end of a name, and only in `layers` where a name has a layer number; a name that is given
    in full (`head.2`) is matched wherever it stands. Raises `ConfigError` without peft, `CheckpointError` when
    the trunk has no such modules.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415 - an extra that scoring alone does not need
    except ModuleNotFoundError as error:
        message = "fine-tuned calibration needs peft, which is not installed: pip install 'adaptive-middleware[prm]'"
        raise ConfigError(message) from error
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        bias="none",
        target_modules=list(adapter.modules),
        layers_to_transform=list(adapter.layers),
    )
    try:
        inject_adapter_in_model(config, network)
    except ValueError as error:
        message = f"none of the modules {', '.join(adapter.modules)} is in this model ({error}): its architecture cannot be fine-tuned"
        raise CheckpointError(message) from error
    matrices = low_rank(network)
    if not any(name.startswith("trunk.") for name in matrices):
        message = f"the trunk has no module of {', '.join(adapter.modules)} in the layers {list(adapter.layers)}: its architecture cannot be fine-tuned"
        raise CheckpointError(message)
    for parameter in matrices.values():  # a half-precision trunk would make them too coarse to learn
        parameter.data = parameter.data.float()
    return network


def low_rank(network: nn.Module) -> dict[str, nn.Parameter]:
    """The adapter's matrices by name."""
    return {name: found for name, found in network.named_parameters() if ".lora_" in name}


def output_layer(network: StepModel) -> dict[str, nn.Parameter]:
    """Weight and bias of the output layer."""
    return dict(last_layer(network.head).named_parameters())


def fill(own: Mapping[str, nn.Parameter], found: Mapping[str, torch.Tensor], where: str) -> None:
    """Copy tensors over parameters of the same names and shapes; raises `CheckpointError` where they differ."""
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    expected = {name: tuple(parameter.shape) for name, parameter in own.items()}
    if shapes != expected:
        odd = min(set(shapes.items()) ^ set(expected.items()))
        message = (
            f"{where} does not fit this process reward model (at {odd[0]!r}): fine-tune again for this one"
        )
        raise CheckpointError(message)
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(found[name])
