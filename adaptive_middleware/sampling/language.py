"""A causal language model in this process with its tokenizer: prompts in, text out, and how much room there is."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import GenerationConfig

from adaptive_middleware import pretrained
from adaptive_middleware.errors import ConfigError, SamplerError
from adaptive_middleware.types import Request


@dataclass(frozen=True, slots=True)
class Generation:
    """How to draw: `temperature` 0 is greedy, `top_p` in (0, 1], at most `max_new_tokens` per answer.

    With a `seed`, the k-th call of a sampler for a given prompt draws the same answers in every process;
    without one, it does not. Raises `ConfigError` for values outside their ranges.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 512
    seed: int | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.temperature < math.inf and 0 < self.top_p <= 1 and self.max_new_tokens >= 1):
            message = f"{self!r} is out of range: temperature >= 0, 0 < top_p <= 1, max_new_tokens >= 1"
            raise ConfigError(message)


@dataclass(slots=True, eq=False)
class Language:
    """The model, its tokenizer and settings; whoever computes with it holds `device`.

    `ends` are the ids that end an answer, by the model's generation config and by its tokenizer.
    """

    name: str
    model: Any
    tokenizer: Any
    generation: Generation
    ends: list[int] = field(init=False)
    device: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        own = self.model.generation_config.eos_token_id
        named = own if isinstance(own, list) else [own]
        self.ends = sorted({int(end) for end in [*named, self.tokenizer.eos_token_id] if end is not None})
        # transformers fills every unset setting from this one: a model's repetition penalty would skew the draws
        self.model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]

    def prompt(self, request: Request) -> list[int]:
        """The prompt's ids: the chat template of its messages, else of its text; raises `SamplerError` for none."""
        chat = _chat(request.messages) or [{"role": "user", "content": request.text}]
        if self.tokenizer.chat_template:
            text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        else:
            ids = self.tokenizer("\n\n".join(message["content"] for message in chat))["input_ids"]
        if not ids:
            message = "the prompt is empty, and the model has no token to begin with: give the request a text"
            raise SamplerError(message)
        return list(ids)

    def room(self, prompt: int) -> int:
        """The most tokens of an answer after `prompt` tokens; raises `SamplerError` when these fill the window."""
        window = pretrained.window_of(self.model)
        if window is None:
            return self.generation.max_new_tokens
        if prompt >= window:
            message = f"the prompt has {prompt} tokens and the window of {self.name!r} only {window}: shorten the prompt"
            raise SamplerError(message)
        return min(self.generation.max_new_tokens, window - prompt)

    def plain(self, text: str) -> list[int]:
        """Ids of text in which nothing is special."""
        return list(self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def text(self, ids: Sequence[int]) -> str:
        """The text of drawn tokens, without special ones."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))


def _chat(messages: Sequence[object]) -> list[dict[str, str]]:
    """The messages, where all are dicts with a text content; otherwise none."""
    chat = [
        {"role": str(message["role"]), "content": message["content"]}
        for message in messages
        if isinstance(message, dict) and "role" in message and isinstance(message.get("content"), str)
    ]
    return chat if len(chat) == len(messages) else []
