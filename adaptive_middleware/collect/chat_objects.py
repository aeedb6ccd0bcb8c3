"""Models by import path: LangChain chat models, LlamaIndex LLMs, and objects that speak our own ports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from adaptive_middleware.collect.source import Source
from adaptive_middleware.errors import ConfigError, SamplerError
from adaptive_middleware.ports import Sampler
from adaptive_middleware.sampling.drawn import Drawn
from adaptive_middleware.sampling.fanout import fan_out
from adaptive_middleware.steps import split_steps
from adaptive_middleware.types import Path, Request, Usage


@dataclass(frozen=True, slots=True)
class WholeAnswers:
    """A `Continuer` that can only begin at the beginning: it draws whole answers, one call after the other."""

    draw: Callable[[Request, int], Sequence[Path]]

    def extend(
        self,
        request: Request,
        prefixes: Sequence[str],
        n: int,
        seed: int,  # noqa: ARG002 - the port's signature
    ) -> list[list[Drawn]]:
        """`n` whole answers; raises `SamplerError` for a prefix that is not empty."""
        if any(prefixes):
            message = "this model cannot continue a given text: set prefixes to 0"
            raise SamplerError(message)
        return [[Drawn(path) for path in self.draw(request, n)] for _ in prefixes]


def source_of(model: Any, name: str, max_tokens: int) -> Source:  # noqa: ANN401 - the user's own object
    """The source that a user's object stands for; `name` names it where it does not do so itself.

    Raises `ConfigError` for an object of another kind.
    """
    kinds = [each.__module__ for each in type(model).__mro__]
    if any(kind.startswith("langchain_core.language_models.chat_models") for kind in kinds):
        return Source(_named(model, name), WholeAnswers(_langchain(model)), max_tokens, continues=False)
    if any(kind.startswith("llama_index.core.") and kind.endswith(".llm") for kind in kinds):
        return Source(_named(model, name), WholeAnswers(_llama_index(model)), max_tokens, continues=False)
    own = str(getattr(model, "id", name))
    if callable(getattr(model, "extend", None)):
        return Source(own, model, max_tokens)
    if callable(getattr(model, "sample", None)):
        sampler: Sampler = model
        return Source(own, WholeAnswers(sampler.sample), max_tokens, continues=False)
    message = (
        f"sampler.target {name!r} made a {type(model).__name__}; a LangChain chat model, a LlamaIndex LLM, or an "
        "object with the method 'sample' or 'extend' is needed"
    )
    raise ConfigError(message)


def _named(model: object, name: str) -> str:
    """What a framework's model calls itself, where it does."""
    own = (getattr(model, key, None) for key in ("model_name", "model", "model_id"))
    return next((each for each in own if isinstance(each, str) and each), name)


def _langchain(model: Any) -> Callable[[Request, int], Sequence[Path]]:  # noqa: ANN401
    uncached = model.model_copy(update={"cache": False})  # a cache would make all answers of a prompt one

    def draw(request: Request) -> Path:
        message = uncached.invoke(list(request.messages))
        told = message.usage_metadata or {}
        cost = Usage(told.get("input_tokens", 0), told.get("output_tokens", 0), requests=1)
        details = message.response_metadata
        reason = details.get("finish_reason") or details.get("stop_reason") or details.get("done_reason")
        return _path(str(message.text), reason, cost, (details.get("logprobs") or {}).get("content"))

    return lambda request, n: fan_out(lambda: draw(request), n, max_concurrency=1)


def _llama_index(model: Any) -> Callable[[Request, int], Sequence[Path]]:  # noqa: ANN401
    from llama_index.core.base.llms.types import ChatMessage  # noqa: PLC0415 - the user's model brought it

    def draw(request: Request) -> Path:
        messages: list[Any] = list(request.messages)
        reply = model.chat([ChatMessage(each["content"], role=each["role"]) for each in messages])
        raw = reply.raw if isinstance(reply.raw, dict) else getattr(reply.raw, "__dict__", {})
        told, choices = raw.get("usage") or {}, raw.get("choices") or [None]
        cost = Usage(_of(told, "prompt_tokens") or 0, _of(told, "completion_tokens") or 0, requests=1)
        return _path(reply.message.content or "", _of(choices[0], "finish_reason"), cost)

    return lambda request, n: fan_out(lambda: draw(request), n, max_concurrency=1)


def _of(source: Any, name: str) -> Any:  # noqa: ANN401 - a provider's mapping or object
    return source.get(name) if isinstance(source, dict) else getattr(source, name, None)


def _path(text: str, reason: str | None, cost: Usage, tokens: Sequence[Any] | None = None) -> Path:
    logprobs = tuple(min(float(token["logprob"]), 0.0) for token in tokens or ()) or None
    return Path(tuple(split_steps(text)), finish_reason=reason, logprobs=logprobs, usage=cost, raw=text)
