"""Samplers: independent answers of a wrapped LlamaIndex model, for both drivers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.llm import LLM

from adaptive_middleware.sampling.fanout import afan_out, fan_out
from adaptive_middleware.types import Path, Request
from llama_index_adaptive.paths import chat_path, completion_path
from llama_index_adaptive.requests import call_arguments


@dataclass(frozen=True, slots=True)
class ModelSampler:
    """Draws samples with one call of the model each, at most `max_concurrency` at the same moment."""

    draw: Callable[[Request], Path]
    adraw: Callable[[Request], Awaitable[Path]]
    max_concurrency: int

    def sample(self, request: Request, n: int) -> Sequence[Path]:
        """`n` answers, from threads when `n` is above 1."""
        draw = partial(self.draw, request)
        return fan_out(draw, n, deadline=request.deadline, max_concurrency=self.max_concurrency)

    async def asample(self, request: Request, n: int) -> Sequence[Path]:
        """`n` answers, awaited together."""
        draw = partial(self.adraw, request)
        return await afan_out(draw, n, deadline=request.deadline, max_concurrency=self.max_concurrency)


def chat_sampler(llm: LLM, max_concurrency: int) -> ModelSampler:
    """Samples are calls of `llm.chat` and `llm.achat`."""

    def draw(request: Request) -> Path:
        messages = cast("Sequence[ChatMessage]", request.messages)
        return chat_path(llm.chat(messages, **call_arguments(request)), llm)

    async def adraw(request: Request) -> Path:
        messages = cast("Sequence[ChatMessage]", request.messages)
        return chat_path(await llm.achat(messages, **call_arguments(request)), llm)

    return ModelSampler(draw, adraw, max_concurrency)


def completion_sampler(llm: LLM, max_concurrency: int) -> ModelSampler:
    """Samples are calls of `llm.complete` and `llm.acomplete`."""

    def draw(request: Request) -> Path:
        (prompt,) = cast("Sequence[str]", request.messages)
        return completion_path(llm.complete(prompt, **call_arguments(request)))

    async def adraw(request: Request) -> Path:
        (prompt,) = cast("Sequence[str]", request.messages)
        return completion_path(await llm.acomplete(prompt, **call_arguments(request)))

    return ModelSampler(draw, adraw, max_concurrency)
