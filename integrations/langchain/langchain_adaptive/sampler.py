"""The sampler of one call: independent answers of the wrapped chat model, for both drivers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.fanout import afan_out, fan_out
from adaptive_middleware.types import Path, Request
from langchain_adaptive.paths import result_paths
from langchain_adaptive.requests import inner_arguments, takes_manager


@dataclass(slots=True)
class ChatSampler:
    """Draws answers by calling `inner._generate` or `inner._agenerate`, below callbacks and cache.

    So a call is one run in the trace however many samples it takes, and a cache never makes two
    samples one. The inner model's rate limiter is asked once for each request. `results` collects what
    the requests returned. `manager` is given to the inner model; it is None for calls that may take
    several samples, because a model that streams inside `_generate` would mix their tokens.
    """

    inner: BaseChatModel
    max_concurrency: int = 16
    native_n: bool = False
    manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None = None
    results: list[ChatResult] = field(default_factory=list)

    def sample(self, request: Request, n: int) -> Sequence[Path]:
        """`n` answers, from threads; with `native_n` from one request, and what it lacks from threads."""
        paths: list[Path] = []
        if self.native_n and n > 1:
            paths = self._draw(request, n)
        missing = n - len(paths)
        draw = partial(_first, partial(self._draw, request))
        limit = self.max_concurrency
        more = fan_out(draw, missing, deadline=request.deadline, max_concurrency=limit) if missing else []
        return [*paths, *more]

    async def asample(self, request: Request, n: int) -> Sequence[Path]:
        """As `sample`, awaited together."""
        paths: list[Path] = []
        if self.native_n and n > 1:
            paths = await self._adraw(request, n)
        missing = n - len(paths)
        if not missing:
            return paths

        async def draw() -> Path:
            return (await self._adraw(request))[0]

        limit = self.max_concurrency
        return [*paths, *await afan_out(draw, missing, deadline=request.deadline, max_concurrency=limit)]

    def _draw(self, request: Request, n: int = 1) -> list[Path]:
        """The paths of one request, at least one and at most `n`."""
        if self.inner.rate_limiter is not None:
            self.inner.rate_limiter.acquire(blocking=True)
        arguments = self._arguments(type(self.inner)._generate, request, n)  # noqa: SLF001
        return self._kept(self.inner._generate(_messages(request), **arguments), n)  # noqa: SLF001

    async def _adraw(self, request: Request, n: int = 1) -> list[Path]:
        if self.inner.rate_limiter is not None:
            await self.inner.rate_limiter.aacquire(blocking=True)
        arguments = self._arguments(type(self.inner)._agenerate, request, n)  # noqa: SLF001
        return self._kept(await self.inner._agenerate(_messages(request), **arguments), n)  # noqa: SLF001

    def _arguments(self, method: Callable[..., object], request: Request, n: int) -> dict[str, Any]:
        told = self.manager if self.manager is not None and takes_manager(method) else None
        arguments = inner_arguments(request, told)
        return arguments if n == 1 else {**arguments, "n": n}

    def _kept(self, result: ChatResult, n: int) -> list[Path]:
        self.results.append(result)
        paths = result_paths(result, n)
        if not paths:
            message = f"{type(self.inner).__name__} returned a result without generations: {result!r}"
            raise SamplerError(message)
        return paths


def _messages(request: Request) -> list[BaseMessage]:
    return cast("list[BaseMessage]", request.messages)


def _first(draw: Callable[[], list[Path]]) -> Path:
    return draw()[0]
