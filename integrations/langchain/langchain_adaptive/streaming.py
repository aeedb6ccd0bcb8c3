"""What the caller of a stream is shown: the chunks of the followed answer, or a chosen one as a single chunk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.reading import Open, Reading
from adaptive_middleware.types import Outcome, Path, Request
from langchain_adaptive.chunks import closing_chunk

_ABOUT_USAGE = frozenset({"stream_usage", "stream_options"})
STREAM_ARGUMENTS = _ABOUT_USAGE | {"stream"}
"""Arguments that only a request for a stream may carry."""


def streams(model: BaseChatModel, *, async_api: bool) -> bool:
    """Whether `model` has a stream of its own; the asynchronous one may be the synchronous one."""
    cls = type(model)
    synchronous = cls._stream is not BaseChatModel._stream  # noqa: SLF001
    return synchronous or (async_api and cls._astream is not BaseChatModel._astream)  # noqa: SLF001


def only_chunk(result: ChatResult) -> ChatGenerationChunk:
    """The result's one generation as the first and last chunk of a stream.

    Tool calls become complete tool call chunks; the response metadata carries what a message gets
    when it is not streamed, without the provider's token usage, which `usage_metadata` says.
    """
    (generation,) = result.generations
    message = generation.message
    output = {name: value for name, value in (result.llm_output or {}).items() if name != "token_usage"}
    info = generation.generation_info or {}
    extra = {name: value for name, value in message.additional_kwargs.items() if name != "tool_calls"}
    chunk = AIMessageChunk(
        content=message.content,
        additional_kwargs=extra,
        response_metadata={**output, **info, **message.response_metadata},
        id=message.id,
        name=message.name,
        usage_metadata=message.usage_metadata if isinstance(message, AIMessage) else None,
        tool_call_chunks=_call_chunks(message) if isinstance(message, AIMessage) else [],
        chunk_position="last",
    )
    return ChatGenerationChunk(message=chunk)


@dataclass(slots=True)
class Shown:
    """What the caller of a stream has seen: the inner model's own chunks of the followed answer, without their usage."""

    outcome: Outcome = field(init=False)
    reading: Reading | None = None
    pieces: int = 0
    broken: str | None = None

    def more(self, seen: Path | Outcome) -> list[ChatGenerationChunk]:
        """What the followed path has grown by; nothing of one that failed. The outcome is kept for the end."""
        if isinstance(seen, Outcome):
            self.outcome = seen
            return []
        if isinstance(seen.raw, Open) and seen.raw.reading is not self.reading:
            self._nothing_yet("another answer was followed")
            self.reading = seen.raw.reading
        self.broken = seen.error
        if self.reading is None or self.broken is not None:
            return []
        new = self.reading.pieces[self.pieces :]
        self.pieces += len(new)
        return [_without_usage(piece.raw) for piece in new if isinstance(piece.raw, ChatGenerationChunk)]

    def end(self, result: Callable[[Outcome], ChatResult]) -> list[ChatGenerationChunk]:
        """What is missing for the chunks to add up to the outcome's `result`.

        Raises `SamplerError` when another answer was chosen than was shown: that cannot be taken back.
        """
        if self.reading is None or self.reading.pieces[-1].raw is not self.outcome.chosen.raw:
            self._nothing_yet(self.broken or "another one was chosen")
            return [only_chunk(result(self.outcome))]
        message = result(self.outcome).generations[0].message
        usage = message.usage_metadata if isinstance(message, AIMessage) else None
        told = {name: value for name, value in message.response_metadata.items() if name == "adaptive"}
        return [closing_chunk(message, usage_metadata=usage, response_metadata=told)]

    def _nothing_yet(self, why: str) -> None:
        if self.pieces and self.reading is not None:
            message = (
                f"the answer broke off after {self.reading.size} characters, which were already shown: {why}"
            )
            raise SamplerError(message)


def _without_usage(chunk: ChatGenerationChunk) -> ChatGenerationChunk:
    """A copy for the caller; the usage of all answers comes in the last chunk, and that one is ours."""
    message = chunk.message
    if isinstance(message, AIMessageChunk):
        message = message.model_copy(update={"usage_metadata": None, "chunk_position": None})
    return ChatGenerationChunk(message=message, generation_info=chunk.generation_info)


def stream_arguments(request: Request) -> dict[str, Any]:
    """Those arguments of the call that only a request for a stream may carry."""
    return {name: value for name, value in request.parameters.items() if name in _ABOUT_USAGE}


def without_stream(request: Request) -> Request:
    """The request without what only a request for a stream may carry."""
    kept = {name: value for name, value in request.parameters.items() if name not in STREAM_ARGUMENTS}
    return replace(request, parameters=kept)


def _call_chunks(message: AIMessage) -> list[Any]:
    calls = [(c["name"], json.dumps(c["args"], ensure_ascii=False), c["id"]) for c in message.tool_calls]
    calls += [(c["name"] or "", c["args"] or "", c["id"]) for c in message.invalid_tool_calls]
    return [tool_call_chunk(name=n, args=a, id=i, index=k) for k, (n, a, i) in enumerate(calls)]
