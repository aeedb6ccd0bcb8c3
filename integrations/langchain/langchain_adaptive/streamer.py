"""The streamers of one call: answers of the wrapped chat model, read from its own streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, closing
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from adaptive_middleware.sampling.astreams import AsyncSource
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.sampling.refusing import told_apart
from adaptive_middleware.sampling.streams import Source
from adaptive_middleware.types import Request
from langchain_adaptive.chunks import Chunks
from langchain_adaptive.requests import inner_arguments


def source(inner: BaseChatModel, extra: Mapping[str, Any]) -> Source:
    """Opens answers with `inner._stream`, below callbacks and cache; `extra` arguments are for streams alone.

    The rate limiter is asked once for each answer, when it is first read. No run manager is handed on: the tokens
    of answers that may be dropped are nobody's.
    """

    def pieces(request: Request) -> Generator[Piece, None, None]:
        chunks = Chunks()
        if inner.rate_limiter is not None:
            inner.rate_limiter.acquire(blocking=True)
        stream = inner._stream(_messages(request), **{**inner_arguments(request), **extra})  # noqa: SLF001
        with told_apart(), closing(cast("Generator[ChatGenerationChunk]", stream)) as open_chunks:
            for chunk in open_chunks:
                yield chunks.piece(chunk)
        yield chunks.end(type(inner).__name__)

    return pieces


def asource(inner: BaseChatModel, extra: Mapping[str, Any]) -> AsyncSource:
    """As `source`, with `inner._astream`."""

    async def pieces(request: Request) -> AsyncGenerator[Piece, None]:
        chunks = Chunks()
        if inner.rate_limiter is not None:
            await inner.rate_limiter.aacquire(blocking=True)
        stream = inner._astream(_messages(request), **{**inner_arguments(request), **extra})  # noqa: SLF001
        with told_apart():
            async with aclosing(cast("AsyncGenerator[ChatGenerationChunk]", stream)) as open_chunks:
                async for chunk in open_chunks:
                    yield chunks.piece(chunk)
        yield chunks.end(type(inner).__name__)

    return pieces


def _messages(request: Request) -> list[BaseMessage]:
    return cast("list[BaseMessage]", request.messages)
