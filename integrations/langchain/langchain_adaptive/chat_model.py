"""A chat model around a chat model: the middleware decides how many samples each call takes."""

# ruff: noqa: ANN401 - the framework's signatures

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing
from functools import cached_property
from typing import Any, Self, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig, ensure_config
from pydantic import Field, model_validator

from adaptive_middleware.errors import ConfigError
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.sampling.shown import Shown
from adaptive_middleware.types import Outcome, Path, Request
from langchain_adaptive.call import Call
from langchain_adaptive.delegation import DelegatingChatModel
from langchain_adaptive.requests import STREAMING, Origin, inner_arguments, to_request
from langchain_adaptive.sampler import ChatSampler
from langchain_adaptive.streaming import last_chunk, live_chunks, streams, without_stream

RunManager = CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class AdaptiveChatModel(DelegatingChatModel):
    """`inner`, with `middleware` deciding what each call may cost. A chat model like any other.

    A call is one run in callbacks and traces, whatever it draws. Its message is the inner model's own;
    `usage_metadata` is the sum over all samples, and `response_metadata["adaptive"]` the report when the
    middleware did more than pass the call through. `max_concurrency` bounds the samples of one call that
    are under way at the same time; `native_n` draws several with one request (`n=`) from providers that
    can. Strategies that read answers step by step read the inner model's streams; one that is silent for
    `idle` seconds is given up. Raises `ConfigError` for an `inner` that cannot be wrapped.
    """

    middleware: Middleware = Field(default_factory=Middleware, exclude=True, repr=False)
    max_concurrency: int = Field(default=16, ge=1)
    native_n: bool = False
    idle: float = Field(default=60.0, gt=0)

    @model_validator(mode="after")
    def _check_native_n(self) -> Self:
        if self.native_n and "n" not in type(self.inner).model_fields:
            message = (
                f"native_n is set, but {type(self.inner).__name__} has no field n to ask for choices with"
            )
            raise ConfigError(message)
        return self

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - the framework's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """The answer in chunks: as the inner model streams them, once it is known which one; else in one."""
        STREAMING.set(Origin.of_config(ensure_config(config), self.tags))
        yield from super().stream(input, config, stop=stop, **kwargs)

    async def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - the framework's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """As `stream`."""
        STREAMING.set(Origin.of_config(ensure_config(config), self.tags))
        chunks = super().astream(input, config, stop=stop, **kwargs)
        async with aclosing(cast("AsyncGenerator[AIMessageChunk]", chunks)) as open_chunks:
            async for chunk in open_chunks:
                yield chunk

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._answer(self._request(messages, stop, run_manager, kwargs), run_manager)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await self._aanswer(self._request(messages, stop, run_manager, kwargs), run_manager)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        request = self._request(messages, stop, run_manager, kwargs)
        if self._streams_live(request, async_api=False):
            if self.inner.rate_limiter is not None:
                self.inner.rate_limiter.acquire(blocking=True)
            stream = self.inner._stream  # noqa: SLF001 - the extension point of chat models
            yield from stream(messages, **inner_arguments(request, run_manager))
            return
        with closing(self._shown(request)) as shown:
            for chunk in shown:
                if run_manager is not None:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        request = self._request(messages, stop, run_manager, kwargs)
        if self._streams_live(request, async_api=True):
            if self.inner.rate_limiter is not None:
                await self.inner.rate_limiter.aacquire(blocking=True)
            stream = self.inner._astream  # noqa: SLF001 - the extension point of chat models
            chunks = stream(messages, **inner_arguments(request, run_manager))
            async with aclosing(cast("AsyncGenerator[ChatGenerationChunk]", chunks)) as open_chunks:
                async for chunk in open_chunks:
                    yield chunk
            return
        async with aclosing(self._ashown(request)) as shown:
            async for chunk in shown:
                if run_manager is not None:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    def _answer(self, request: Request, manager: RunManager | None) -> ChatResult:
        call = self._call(request, manager)
        return call.result(self.middleware.run(request, call.sampler, streamer=call.streamer()))

    async def _aanswer(self, request: Request, manager: RunManager | None) -> ChatResult:
        call = self._call(request, manager)
        return call.result(await self.middleware.arun(request, call.sampler, streamer=call.astreamer()))

    def _shown(self, request: Request) -> Generator[ChatGenerationChunk, None, None]:
        """The followed answer while it is written, then what is missing; or the chosen answer in one chunk."""
        call, shown = self._call(request, None), Shown()
        seen = self.middleware.stream(without_stream(request), call.sampler, streamer=call.streamer())
        with closing(cast("Generator[Path | Outcome]", seen)) as watched:
            for one in watched:
                yield from live_chunks(shown.more(one))
        complete = shown.complete()
        yield last_chunk(call.result(shown.outcome), shown.outcome.chosen, shown=complete)

    async def _ashown(self, request: Request) -> AsyncGenerator[ChatGenerationChunk, None]:
        call, shown = self._call(request, None), Shown()
        seen = self.middleware.astream(without_stream(request), call.sampler, streamer=call.astreamer())
        async with aclosing(seen) as watched:
            async for one in watched:
                for chunk in live_chunks(shown.more(one)):
                    yield chunk
        complete = shown.complete()
        yield last_chunk(call.result(shown.outcome), shown.outcome.chosen, shown=complete)

    def _request(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        manager: RunManager | None,
        kwargs: dict[str, Any],
    ) -> Request:
        origin = STREAMING.get() if manager is None else Origin.of_run(manager)
        return to_request(messages, stop, {**self.inner_kwargs, **kwargs}, self.inner, origin)

    def _call(self, request: Request, manager: RunManager | None) -> Call:
        rule = self.middleware.rule(request)
        told = manager if rule.passes_through else None
        sampler = ChatSampler(self.inner, self.max_concurrency, self.native_n, told)
        return Call(request, sampler, rule.boundary, self.idle)

    def _streams_live(self, request: Request, *, async_api: bool) -> bool:
        return streams(self.inner, async_api=async_api) and self.middleware.rule(request).passes_through

    def _should_stream(
        self, *, async_api: bool, run_manager: RunManager | None = None, **kwargs: Any
    ) -> bool:
        """Whether the inner model would stream."""
        theirs = self.inner._should_stream(async_api=async_api, run_manager=run_manager, **kwargs)  # noqa: SLF001
        if not theirs or self._streaming_disabled(**kwargs):
            return False
        if run_manager is not None:
            STREAMING.set(Origin.of_run(run_manager))
        return True

    def _should_use_protocol_streaming(
        self, *, async_api: bool, run_manager: RunManager | None = None, **kwargs: Any
    ) -> bool:
        ours = super()._should_use_protocol_streaming(async_api=async_api, run_manager=run_manager, **kwargs)
        return ours and streams(self.inner, async_api=async_api)

    @property
    def _llm_type(self) -> str:
        return f"adaptive-{self.inner._llm_type}"  # noqa: SLF001

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """The inner model's parameters and a digest of our rules: together they make the cache's key."""
        middleware, digest = self._digest
        if middleware is not self.middleware:  # a copy of a model that had another one
            digest = _digest_of(self.middleware)
        theirs = self.inner._identifying_params  # noqa: SLF001
        return {**theirs, **self.inner_kwargs, "adaptive": digest}

    @cached_property
    def _digest(self) -> tuple[Middleware, str]:
        return self.middleware, _digest_of(self.middleware)


def _digest_of(middleware: Middleware) -> str:
    described = f"{middleware.rules!r} {type(middleware.scorer).__name__}"
    return hashlib.sha256(_ADDRESS.sub("", described).encode()).hexdigest()[:16]
