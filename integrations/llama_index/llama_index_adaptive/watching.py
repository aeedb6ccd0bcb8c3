"""What the caller of a stream sees: the model's own responses of the followed answer, and the chosen one with the report."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, closing, contextmanager
from typing import cast

from llama_index_instrumentation.span import active_span_id

from adaptive_middleware.middleware import Middleware
from adaptive_middleware.ports import AsyncStreamer, Streamer
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.sampling.shown import Shown
from adaptive_middleware.types import Outcome, Path, Request
from llama_index_adaptive.reports import Response, reported
from llama_index_adaptive.responses import last_of_stream
from llama_index_adaptive.sampler import ModelSampler


def watched(
    middleware: Middleware, request: Request, sampler: ModelSampler, streamer: Streamer, kind: type[Response]
) -> Generator[Response, None, None]:
    """The followed answer as the model streams it, then the chosen response; that alone when nothing is followed.

    Whatever a step of the stream does belongs to the span of this call, which is over by then.
    """
    return _spanned(_responses(middleware, request, sampler, streamer, kind), active_span_id.get())


def _spanned(responses: Generator[Response, None, None], span: str | None) -> Generator[Response, None, None]:
    with closing(responses):
        while True:
            with _inside(span):
                response = next(responses, None)
            if response is None:
                return
            yield response


@contextmanager
def _inside(span: str | None) -> Generator[None, None, None]:
    token = active_span_id.set(span)
    try:
        yield
    finally:
        active_span_id.reset(token)


def _responses(
    middleware: Middleware, request: Request, sampler: ModelSampler, streamer: Streamer, kind: type[Response]
) -> Generator[Response, None, None]:
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
    responses = _aresponses(middleware.astream(request, sampler, streamer=streamer), kind)
    span, first = active_span_id.get(), await anext(responses)

    async def both() -> AsyncGenerator[Response, None]:
        response: Response | None = first
        async with aclosing(responses):
            while response is not None:
                yield response
                with _inside(span):
                    response = await anext(responses, None)

    return both()


async def _aresponses(
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
    """The chosen response; its deltas are what was not shown: nothing of it, or all."""
    complete = shown.complete()
    return last_of_stream(reported(shown.outcome, kind), shown=complete)
