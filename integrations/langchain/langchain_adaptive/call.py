"""One call: how it draws answers from the wrapped chat model, whole or streamed, and its result made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.outputs import ChatResult

from adaptive_middleware.sampling.astreams import AsyncStepStreamer
from adaptive_middleware.sampling.reading import Reading
from adaptive_middleware.sampling.streams import StepStreamer
from adaptive_middleware.steps import Boundary
from adaptive_middleware.types import Outcome, Request
from langchain_adaptive.chunks import finish
from langchain_adaptive.paths import final_result
from langchain_adaptive.requests import inner_arguments
from langchain_adaptive.sampler import ChatSampler
from langchain_adaptive.streamer import asource, source
from langchain_adaptive.streaming import stream_arguments, streams


@dataclass(frozen=True, slots=True)
class Call:
    """The ports of one call, and what came through them: the sampler's results, the `readings` of its streams."""

    request: Request
    sampler: ChatSampler
    boundary: Boundary
    idle: float
    readings: list[Reading] = field(default_factory=list)

    def streamer(self) -> StepStreamer | None:
        """What reads answers step by step; None for a model without a stream, or whose stream is switched off."""
        if not self._streams(async_api=False):
            return None
        pieces = source(self.sampler.inner, stream_arguments(self.request))
        return StepStreamer(pieces, finish, **self._settings())

    def astreamer(self) -> AsyncStepStreamer | None:
        """As `streamer`, for event loops."""
        if not self._streams(async_api=True):
            return None
        pieces = asource(self.sampler.inner, stream_arguments(self.request))
        return AsyncStepStreamer(pieces, finish, **self._settings())

    def result(self, outcome: Outcome) -> ChatResult:
        """The call's result, once everything it opened is closed."""
        return final_result(outcome, self.sampler.results, self.readings, self.sampler.inner)

    def _streams(self, *, async_api: bool) -> bool:
        inner = self.sampler.inner
        disabled = inner._streaming_disabled(**inner_arguments(self.request))  # noqa: SLF001
        return streams(inner, async_api=async_api) and not disabled

    def _settings(self) -> Mapping[str, Any]:
        most, told = self.sampler.max_concurrency, self.readings.append
        return {"boundary": self.boundary, "idle": self.idle, "max_concurrency": most, "begun": told}
