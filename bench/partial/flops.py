"""Operations of a transformer per token, and the share of scoring in those of a call."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import Qwen2Config


@dataclass(frozen=True, slots=True)
class Model:
    """A model by what its operations depend on: parameters of its linear layers, layers, width of all heads, outputs."""

    linear: int
    layers: int
    attention: int
    outputs: int

    @staticmethod
    def of(config: Qwen2Config, outputs: int) -> Model:
        """The model of a Qwen2 configuration, with `outputs` parameters in the head that is read at every token."""
        hidden, size = config.hidden_size, config.hidden_size // config.num_attention_heads
        shared = (config.num_key_value_heads or config.num_attention_heads) * size
        heads = config.num_attention_heads * size
        layer = 2 * hidden * heads + 2 * hidden * shared + 3 * hidden * config.intermediate_size
        return Model(config.num_hidden_layers * layer, config.num_hidden_layers, heads, outputs)

    def per_token(self, context: float) -> float:
        """Operations of one token that attends to `context` tokens: 2 a parameter, 4 a key and unit of attention width.

        >>> Model(linear=100, layers=2, attention=8, outputs=10).per_token(3)
        412.0
        """
        return 2.0 * (self.linear + self.outputs) + 4.0 * self.layers * self.attention * context


@dataclass(frozen=True, slots=True)
class Cost:
    """Mean tokens of a call: prompt (read once), generated, and read by the process reward model."""

    prompt: float
    generated: float
    scored: float


def scoring_share(cost: Cost, generator: Model, judge: Model) -> float:
    """Operations of scoring over those of scoring and generating; every token sees the prompt and half an answer."""
    context = cost.prompt + 20
    generating = cost.generated * generator.per_token(context) + cost.prompt * generator.per_token(
        cost.prompt / 2
    )
    scoring = cost.scored * judge.per_token(context)
    return scoring / (scoring + generating)
