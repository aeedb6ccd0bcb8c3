"""Streams of OpenAI-compatible endpoints as sources of pieces, over httpx2, for threads and for event loops.

    source = OpenAIStream(Endpoint("http://localhost:8000/v1", "qwen"))
    streamer = StepStreamer(source)                       # or AsyncStepStreamer(AsyncOpenAIStream(endpoint))

Retries have one owner and end with the head of the reply: what has begun is never asked for again. Nothing is ever
decompressed, and a reply that is no stream of events is read only as far as an error message needs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from typing import Any

import httpx2
from tenacity import AsyncRetrying, Retrying

from adaptive_middleware.sampling.endpoint import Busy, Endpoint, again, gave_up, unreachable
from adaptive_middleware.sampling.openai_replies import Parsing, Patience, asked, refusal, streams
from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.types import Request

__all__ = ["AsyncOpenAIStream", "OpenAIStream", "Patience"]

_EXCERPT = 4096
_UNBOUNDED = httpx2.Limits(max_connections=None, max_keepalive_connections=0)


def _client() -> httpx2.Client:
    return httpx2.Client(limits=_UNBOUNDED)


def _aclient() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(limits=_UNBOUNDED)


@dataclass(frozen=True, slots=True)
class OpenAIStream:
    """A `Source` of `StepStreamer`: one request for each answer.

    `extra` is added to the body of every request. The number of connections must not be limited by `client`: an
    open answer that waits for its next turn holds one. Raises `NotStreaming` where the endpoint answers in one piece.
    """

    endpoint: Endpoint
    patience: Patience = field(default_factory=Patience)
    extra: Mapping[str, Any] = field(default_factory=dict)
    client: httpx2.Client = field(default_factory=_client, compare=False, repr=False)

    def __call__(self, request: Request) -> Generator[Piece, None, None]:
        """The pieces of one answer."""
        retrying = Retrying(**again(self.endpoint, request.deadline))
        try:
            reply = retrying(self._opened, request)
        except Busy as error:
            raise gave_up(self.endpoint, error, request.deadline) from error
        parsing = Parsing(self.endpoint.url)
        try:
            for chunk in reply.iter_raw():
                yield from parsing.pieces(chunk)
                if parsing.over:
                    return
            yield from parsing.end()
        except httpx2.TransportError as error:
            parsing.broke(error, self.patience.idle)
        finally:
            reply.close()

    def _opened(self, request: Request) -> httpx2.Response:
        form = asked(self.endpoint, self.patience, self.extra, request)
        post = self.client.build_request("POST", self.endpoint.url, **form)
        try:
            reply = self.client.send(post, stream=True)
            if streams(reply, self.patience):
                self.endpoint.retries.answered()
                return reply
            with closing(reply):
                body = next(reply.iter_raw(_EXCERPT), b"")
        except (httpx2.InvalidURL, httpx2.TransportError) as error:
            raise unreachable(self.endpoint.url, error) from error
        raise refusal(self.endpoint, reply, body)


@dataclass(frozen=True, slots=True)
class AsyncOpenAIStream:
    """As `OpenAIStream`, for `AsyncStepStreamer`. Close `client` when the event loop ends."""

    endpoint: Endpoint
    patience: Patience = field(default_factory=Patience)
    extra: Mapping[str, Any] = field(default_factory=dict)
    client: httpx2.AsyncClient = field(default_factory=_aclient, compare=False, repr=False)

    async def __call__(self, request: Request) -> AsyncGenerator[Piece, None]:
        """The pieces of one answer."""
        retrying = AsyncRetrying(**again(self.endpoint, request.deadline))
        try:
            reply: httpx2.Response = await retrying(self._opened, request)
        except Busy as error:
            raise gave_up(self.endpoint, error, request.deadline) from error
        parsing = Parsing(self.endpoint.url)
        try:
            async for chunk in reply.aiter_raw():
                for piece in parsing.pieces(chunk):
                    yield piece
                if parsing.over:
                    return
            for piece in parsing.end():
                yield piece
        except httpx2.TransportError as error:
            parsing.broke(error, self.patience.idle)
        finally:
            await reply.aclose()

    async def _opened(self, request: Request) -> httpx2.Response:
        form = asked(self.endpoint, self.patience, self.extra, request)
        post = self.client.build_request("POST", self.endpoint.url, **form)
        try:
            reply = await self.client.send(post, stream=True)
            if streams(reply, self.patience):
                self.endpoint.retries.answered()
                return reply
            async with aclosing(reply):
                body = await anext(reply.aiter_raw(_EXCERPT), b"")
        except (httpx2.InvalidURL, httpx2.TransportError) as error:
            raise unreachable(self.endpoint.url, error) from error
        raise refusal(self.endpoint, reply, body)
