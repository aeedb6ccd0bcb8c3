"""Streamers: answers of a wrapped LlamaIndex model, read from its own streams, for both drivers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index.core.llms.llm import LLM

from adaptive_middleware.errors import NotStreaming
from adaptive_middleware.sampling.astreams import AsyncSource, AsyncStepStreamer
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.sampling.refusing import told_apart
from adaptive_middleware.sampling.streams import Source, StepStreamer
from adaptive_middleware.steps import Boundary
from adaptive_middleware.types import Request
from llama_index_adaptive.paths import tool_calls
from llama_index_adaptive.requests import call_arguments
from llama_index_adaptive.responses import Response, Responses, finish, whole_chat, whole_completion

_NO_STREAM = "the model does not implement {error}"


@dataclass(frozen=True, slots=True)
class Reader:
    """How streamed answers are read: how steps are cut, the longest silence in seconds, how many at once."""

    boundary: Boundary
    idle: float
    max_concurrency: int

    def chats(self, llm: LLM) -> StepStreamer:
        """Answers are streams of `llm.stream_chat`."""

        def ask(request: Request) -> Generator[ChatResponse, None, None]:
            return llm.stream_chat(_messages(request), **call_arguments(request))

        return StepStreamer(_source(ask, partial(_chats, llm)), finish, **self._settings())

    def achats(self, llm: LLM) -> AsyncStepStreamer:
        """Answers are streams of `llm.astream_chat`."""

        async def ask(request: Request) -> AsyncGenerator[ChatResponse, None]:
            return await llm.astream_chat(_messages(request), **call_arguments(request))

        return AsyncStepStreamer(_asource(ask, partial(_chats, llm)), finish, **self._settings())

    def completions(self, llm: LLM) -> StepStreamer:
        """Answers are streams of `llm.stream_complete`."""

        def ask(request: Request) -> Generator[CompletionResponse, None, None]:
            return llm.stream_complete(_prompt(request), **call_arguments(request))

        return StepStreamer(_source(ask, _completions), finish, **self._settings())

    def acompletions(self, llm: LLM) -> AsyncStepStreamer:
        """Answers are streams of `llm.astream_complete`."""

        async def ask(request: Request) -> AsyncGenerator[CompletionResponse, None]:
            return await llm.astream_complete(_prompt(request), **call_arguments(request))

        return AsyncStepStreamer(_asource(ask, _completions), finish, **self._settings())

    def _settings(self) -> Mapping[str, Any]:
        return {"boundary": self.boundary, "idle": self.idle, "max_concurrency": self.max_concurrency}


def _source(
    ask: Callable[[Request], Generator[Response, None, None]], new: Callable[[], Responses[Response]]
) -> Source:
    def pieces(request: Request) -> Generator[Piece, None, None]:
        answer = new()
        try:
            with told_apart(), closing(ask(request)) as responses:
                for response in responses:
                    yield answer.piece(response)
        except NotImplementedError as error:
            raise NotStreaming(_NO_STREAM.format(error=error)) from error
        yield answer.end()

    return pieces


def _asource(
    ask: Callable[[Request], Awaitable[AsyncGenerator[Response, None]]],
    new: Callable[[], Responses[Response]],
) -> AsyncSource:
    async def pieces(request: Request) -> AsyncGenerator[Piece, None]:
        answer = new()
        try:
            with told_apart():
                async with aclosing(await ask(request)) as responses:
                    async for response in responses:
                        yield answer.piece(response)
        except NotImplementedError as error:
            raise NotStreaming(_NO_STREAM.format(error=error)) from error
        yield answer.end()

    return pieces


def _chats(llm: LLM) -> Responses[ChatResponse]:
    return Responses(whole_chat, partial(tool_calls, llm=llm))


def _completions() -> Responses[CompletionResponse]:
    return Responses(whole_completion, lambda _response: ())


def _messages(request: Request) -> Sequence[ChatMessage]:
    return cast("Sequence[ChatMessage]", request.messages)


def _prompt(request: Request) -> str:
    (prompt,) = cast("Sequence[str]", request.messages)
    return prompt
