"""What the caller of a stream sees: the model's own responses of the followed answer, and the chosen one with the report."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, closing
from typing import cast

from adaptive_middleware.middleware import Middleware
from adaptive_middleware.ports import AsyncStreamer, Streamer
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.sampling.shown import Shown
from adaptive_middleware.types import Outcome, Path, Request
from llama_index_adaptive.paths import written
from llama_index_adaptive.reports import Response, reported
from llama_index_adaptive.sampler import ModelSampler


def watched(
    middleware: Middleware, request: Request, sampler: ModelSampler, streamer: Streamer, kind: type[Response]
) -> Generator[Response, None, None]:
    """The followed answer as the model streams it, then the chosen response; that alone when nothing is followed."""
    shown = Shown()
    seen = middleware.stream(request, sampler, streamer=streamer)
    with closing(cast("Generator[Path | Outcome]", seen)) as both:
        for one in both:
            yield from _own(shown.more(one), kind)
    yield _last(shown, kind)


async def awatched(
    middleware: Middleware,
    request: Request,
    sampler: ModelSampler,
    streamer: AsyncStreamer,
    kind: type[Response],
) -> AsyncGenerator[Response, None]:
    """As `watched`, for event loops; awaited, it raises what goes wrong before the first response."""
    responses = _responses(middleware.astream(request, sampler, streamer=streamer), kind)
    first = await anext(responses)

    async def both() -> AsyncGenerator[Response, None]:
        async with aclosing(responses):
            yield first
            async for response in responses:
                yield response

    return both()


async def _responses(
    seen: AsyncGenerator[Path | Outcome, None], kind: type[Response]
) -> AsyncGenerator[Response, None]:
    shown = Shown()
    async with aclosing(seen):
        async for one in seen:
            for response in _own(shown.more(one), kind):
                yield response
    yield _last(shown, kind)


def _own(pieces: Sequence[Piece], kind: type[Response]) -> list[Response]:
    return [piece.raw for piece in pieces if isinstance(piece.raw, kind)]


def _last(shown: Shown, kind: type[Response]) -> Response:
    """The chosen response; its delta is what was not shown: nothing of it, or all."""
    complete = shown.complete()
    response = reported(shown.outcome, kind)
    return response.model_copy(update={"delta": "" if complete else written(response)})
