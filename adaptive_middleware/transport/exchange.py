"""The two drivers of a transport: requests in, responses out, for threads and for event loops; all else is shared."""

# ruff: noqa: ANN401 - requests and responses of either library

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, closing
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.sampling.astreams import AsyncSource, AsyncStepStreamer
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.sampling.streams import Source, StepStreamer
from adaptive_middleware.transport.call import Call, Form, relevant
from adaptive_middleware.transport.live import AsyncLive, Live
from adaptive_middleware.transport.replies import Reply
from adaptive_middleware.transport.result import failure, result
from adaptive_middleware.transport.sampler import AsyncReplySampler, Drawn, ReplySampler
from adaptive_middleware.transport.settings import Settings, reply_of
from adaptive_middleware.transport.showing import Showing
from adaptive_middleware.transport.showing_chunks import ShowingChunks
from adaptive_middleware.transport.showing_responses import ShowingResponse
from adaptive_middleware.transport.streamed import finish, is_stream, opened
from adaptive_middleware.transport.wire import RESPONSES
from adaptive_middleware.types import Outcome, Path, Request


@dataclass(frozen=True, slots=True)
class Exchange:
    """Answers requests from the thread that asks; `inner` sends them, `live` makes bodies that are written while they are read."""

    settings: Settings
    inner: Callable[[Any], Any]
    live: Callable[..., Live]

    def response(self, request: Any) -> Any:
        """The response to a request."""
        if not relevant(request.method, request.url.path):
            return self.inner(request)
        call = self.settings.call(request, request.read())
        if call is None:
            return self.inner(request)
        if self.settings.passes(call):
            return self.inner(self.settings.passed_on(request, call))
        try:
            return self._streamed(request, call) if call.streams else self._whole(request, call)
        except AdaptiveError as error:
            return self.settings.response(failure(error))

    def _whole(self, request: Any, call: Call) -> Any:
        drawn = Drawn(call.wire)
        sampler, streamer = self._ports(request, call, drawn)
        outcome = self.settings.answering(call).run(call.request, sampler, streamer=streamer)
        return self.settings.response(result(outcome, call, drawn))

    def _streamed(self, request: Any, call: Call) -> Any:
        showing = showing_of(call)
        events = self._events(request, showing)
        body = self.live(next(events), events, showing.broken)
        return self.settings.response(showing.head(), body)

    def _events(self, request: Any, showing: Showing) -> Generator[bytes, None, None]:
        sampler, streamer = self._ports(request, showing.call, showing.drawn)
        watched = self.settings.answering(showing.call).stream(
            showing.call.request, sampler, streamer=streamer
        )
        with closing(cast("Generator[Path | Outcome]", watched)) as seen:
            for one in seen:
                yield from showing.more(one)
        yield from showing.end()

    def _ports(self, request: Any, call: Call, drawn: Drawn) -> tuple[ReplySampler, StepStreamer]:
        def send(form: Form) -> Reply:
            try:
                with closing(self.inner(self.settings.request(request, form))) as response:
                    return reply_of(response, response.read())
            except self.settings.http.TimeoutException as error:
                raise self.settings.too_late(error, form) from error

        sampler = ReplySampler(call, send, drawn, self.settings.max_concurrency)
        source, told, finished = (
            self._source(request, call, drawn),
            drawn.readings.append,
            partial(finish, call.wire),
        )
        return sampler, StepStreamer(source, finished, begun=told, **self.settings.steps(call))

    def _source(self, request: Any, call: Call, drawn: Drawn) -> Source:
        def pieces(asked: Request) -> Generator[Piece, None, None]:
            form = call.streamed(asked, next(drawn.numbers))
            with closing(self.inner(self.settings.request(request, form))) as response:
                head = reply_of(response)
                streams = is_stream(head.headers)
                whole = head if streams else reply_of(response, response.read())
                parsing = opened(whole, call.wire)
                for block in response.iter_bytes():
                    yield from parsing.pieces(block)
                    if parsing.over:
                        return
                yield from parsing.pieces(None)

        return pieces


@dataclass(frozen=True, slots=True)
class AsyncExchange:
    """As `Exchange`, on the event loop that asks."""

    settings: Settings
    inner: Callable[[Any], Awaitable[Any]]
    live: Callable[..., AsyncLive]

    async def response(self, request: Any) -> Any:
        """The response to a request."""
        if not relevant(request.method, request.url.path):
            return await self.inner(request)
        call = self.settings.call(request, await request.aread())
        if call is None:
            return await self.inner(request)
        if self.settings.passes(call):
            return await self.inner(self.settings.passed_on(request, call))
        try:
            return await (self._streamed(request, call) if call.streams else self._whole(request, call))
        except AdaptiveError as error:
            return self.settings.response(failure(error))

    async def _whole(self, request: Any, call: Call) -> Any:
        drawn = Drawn(call.wire)
        sampler, streamer = self._ports(request, call, drawn)
        outcome = await self.settings.answering(call).arun(call.request, sampler, streamer=streamer)
        return self.settings.response(result(outcome, call, drawn))

    async def _streamed(self, request: Any, call: Call) -> Any:
        showing = showing_of(call)
        events = self._events(request, showing)
        body = self.live(await anext(events), events, showing.broken)
        return self.settings.response(showing.head(), body)

    async def _events(self, request: Any, showing: Showing) -> AsyncGenerator[bytes, None]:
        sampler, streamer = self._ports(request, showing.call, showing.drawn)
        watched = self.settings.answering(showing.call).astream(
            showing.call.request, sampler, streamer=streamer
        )
        async with aclosing(watched) as seen:
            async for one in seen:
                for event in showing.more(one):
                    yield event
        for event in showing.end():
            yield event

    def _ports(self, request: Any, call: Call, drawn: Drawn) -> tuple[AsyncReplySampler, AsyncStepStreamer]:
        async def send(form: Form) -> Reply:
            try:
                async with aclosing(await self.inner(self.settings.request(request, form))) as response:
                    return reply_of(response, await response.aread())
            except self.settings.http.TimeoutException as error:
                raise self.settings.too_late(error, form) from error

        sampler = AsyncReplySampler(call, send, drawn, self.settings.max_concurrency)
        source, told, finished = (
            self._source(request, call, drawn),
            drawn.readings.append,
            partial(finish, call.wire),
        )
        return sampler, AsyncStepStreamer(source, finished, begun=told, **self.settings.steps(call))

    def _source(self, request: Any, call: Call, drawn: Drawn) -> AsyncSource:
        async def pieces(asked: Request) -> AsyncGenerator[Piece, None]:
            form = call.streamed(asked, next(drawn.numbers))
            async with aclosing(await self.inner(self.settings.request(request, form))) as response:
                head = reply_of(response)
                streams = is_stream(head.headers)
                whole = head if streams else reply_of(response, await response.aread())
                parsing = opened(whole, call.wire)
                async for block in response.aiter_bytes():
                    for piece in parsing.pieces(block):
                        yield piece
                    if parsing.over:
                        return
                for piece in parsing.pieces(None):
                    yield piece

        return pieces


def showing_of(call: Call) -> Showing:
    """How the call's client sees its stream."""
    form = ShowingResponse if call.wire is RESPONSES else ShowingChunks
    return form(call, Drawn(call.wire))
