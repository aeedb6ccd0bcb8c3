"""Shapes of public models, and a process reward model of a shape, filled with random weights where it will run."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import nn
from transformers import Qwen2Config, Qwen2Model
from transformers.initialization import no_init_weights

from adaptive_middleware.scoring.heads import StepModel

VOCABULARY = 1024
SEPARATOR = 1
"""The token that ends a step; no other token of a workload is it."""
_LONGEST = 16384


@dataclass(frozen=True, slots=True)
class Shape:
    """A Qwen2-shaped trunk without its embeddings: sizes, and what they cost.

    >>> SHAPES["7b"].parameters / 1e9
    6.525288448
    """

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    inner: int

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden // self.heads

    @property
    def parameters(self) -> int:
        """Weights of the linear layers; norms, biases, embeddings and the head are left out."""
        attention = 2 * self.hidden * (self.heads + self.kv_heads) * self.head_dim
        return self.layers * (attention + 3 * self.hidden * self.inner)

    def kv_bytes(self, tokens: int, itemsize: int) -> int:
        """Bytes that the keys and values of so many tokens take."""
        return 2 * self.layers * self.kv_heads * self.head_dim * itemsize * tokens


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        shape.name: shape
        for shape in (
            Shape("tiny", 64, 2, 4, 2, 96),
            Shape("135m", 576, 30, 9, 3, 1536),
            Shape("1.5b", 1536, 28, 12, 2, 8960),
            Shape("7b", 3584, 28, 28, 4, 18944),
        )
    }
)


def build(shape: Shape, place: torch.device, dtype: torch.dtype, seed: int = 0) -> StepModel:
    """A process reward model with random weights, drawn on `place`; nothing is downloaded.

    Weights are scaled so that scores depend on the whole context and spread over (0, 1): a difference of
    scores would say nothing if every score were 0.5.
    """
    torch.manual_seed(seed)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with place, no_init_weights():
            config = _config(shape)
            config._attn_implementation = "sdpa"  # noqa: SLF001 - as `from_pretrained` sets it
            trunk = Qwen2Model(config)
    finally:
        torch.set_default_dtype(before)
    with place:
        head = nn.Sequential(nn.Linear(shape.hidden, shape.hidden), nn.ReLU(), nn.Linear(shape.hidden, 2))
    network = StepModel(trunk.train(mode=False).requires_grad_(False), head.requires_grad_(False), SEPARATOR)
    _fill(network)
    return network


def precise(network: StepModel) -> StepModel:
    """A float32 copy with the same weights, for references."""
    return copy.deepcopy(network).float()


def _config(shape: Shape) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.inner,
        max_position_embeddings=_LONGEST,
        use_cache=False,
    )


def _fill(network: StepModel) -> None:
    for name, weights in network.named_parameters():
        if "norm" in name:
            weights.fill_(1.0)
        elif name.endswith("bias"):
            weights.zero_()
        elif "embed" in name:
            weights.normal_()
        else:
            gain = 1.5 if name.startswith("head.2") else 1.0
            weights.normal_(std=gain * weights.shape[1] ** -0.5)
