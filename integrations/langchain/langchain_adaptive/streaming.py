"""What the caller of a stream is shown: the chunks of the followed answer, or a chosen one as a single chunk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.types import Path, Request
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


def live_chunks(pieces: Sequence[Piece]) -> list[ChatGenerationChunk]:
    """The inner model's own chunks in `pieces`, as copies without usage: that of all answers comes in the last chunk."""
    chunks = [piece.raw for piece in pieces if isinstance(piece.raw, ChatGenerationChunk)]
    hidden = {"usage_metadata": None, "chunk_position": None}
    return [
        ChatGenerationChunk(
            message=chunk.message.model_copy(update=hidden), generation_info=chunk.generation_info
        )
        for chunk in chunks
    ]


def last_chunk(result: ChatResult, chosen: Path, *, shown: bool) -> ChatGenerationChunk:
    """The last chunk of a stream: all of `result`, or what the chosen answer's own chunks, `shown` before, lack.

    The chunks of an answer that broke off do not say how it ended.
    """
    if not shown:
        return only_chunk(result)
    message = result.generations[0].message
    missing = {"adaptive"} if chosen.raw is not None else {"adaptive", "finish_reason"}
    usage = message.usage_metadata if isinstance(message, AIMessage) else None
    told = {name: value for name, value in message.response_metadata.items() if name in missing}
    return closing_chunk(message, usage_metadata=usage, response_metadata=told)


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
