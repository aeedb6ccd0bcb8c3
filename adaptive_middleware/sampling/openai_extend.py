"""Answers of OpenAI-compatible endpoints, continued step by step from a prefix: for beam search.

    extender = OpenAIExtender(Endpoint("http://localhost:8000/v1", "qwen"), Continuing("continue_final_message"))

One request for each path, with `n` = fanout; where an endpoint gives one choice a request, one for each continuation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

import httpx2
from tenacity import AsyncRetrying, Retrying

from adaptive_middleware.errors import NotContinuing, SamplerError
from adaptive_middleware.sampling.continuing import Continuing, refusal
from adaptive_middleware.sampling.endpoint import Busy, Endpoint, TooManyChoices, again, gave_up
from adaptive_middleware.sampling.whole import aposted, posted
from adaptive_middleware.types import Path, Request

_UNBOUNDED = httpx2.Limits(max_connections=None, max_keepalive_connections=0)


def _client() -> httpx2.Client:
    return httpx2.Client(limits=_UNBOUNDED)


def _aclient() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(limits=_UNBOUNDED)


@dataclass(frozen=True, slots=True)
class OpenAIExtender:
    """Implements `ports.Extender`; at most `max_concurrency` requests at the same moment.

    Raises `NotContinuing` when the endpoint says that it cannot go on from a prefix, or begins anew; a path whose
    request fails otherwise gets no continuation, and the error is raised when that is so of all.
    """

    endpoint: Endpoint
    continuing: Continuing
    max_concurrency: int = 16
    client: httpx2.Client = field(default_factory=_client, compare=False, repr=False)

    def extend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:
        """At most `fanout` continuations of each path, flat and in order."""
        with ThreadPoolExecutor(min(len(paths), self.max_concurrency) or 1, "adaptive-extend") as pool:
            work = [pool.submit(copy_context().run, self._of_one, request, path, fanout) for path in paths]
            return _flat([one.exception() or one.result() for one in work])

    def _of_one(self, request: Request, path: Path, fanout: int) -> list[Path]:
        found: list[Path] = []
        most = fanout
        while len(found) < fanout:
            most = min(most, fanout - len(found))
            try:
                more = self._asked(request, path, most)
            except TooManyChoices:
                most //= 2
                continue
            if not more:
                break
            found += more
        return found[:fanout]

    def _asked(self, request: Request, path: Path, n: int) -> list[Path]:
        body = self.continuing.body(self.endpoint, request, path, n)
        retrying = Retrying(**again(self.endpoint, request.deadline))
        try:
            reply = retrying(self._once, body, request.deadline)
        except Busy as error:
            raise gave_up(self.endpoint, error, request.deadline) from error
        return self.continuing.paths(self.endpoint, path, _json(reply))

    def _once(self, body: Mapping[str, Any], deadline: float | None) -> httpx2.Response:
        place, url = self.endpoint, self.continuing.url(self.endpoint)
        reply = posted(self.client, url, body, place, deadline)
        if not reply.is_success:
            raise refusal(url, place, reply, body)
        place.retries.answered()
        return reply


@dataclass(frozen=True, slots=True)
class AsyncOpenAIExtender:
    """As `OpenAIExtender`, for event loops; implements `ports.AsyncExtender`. Close `client` when the loop ends."""

    endpoint: Endpoint
    continuing: Continuing
    max_concurrency: int = 16
    client: httpx2.AsyncClient = field(default_factory=_aclient, compare=False, repr=False)

    async def aextend(self, request: Request, paths: Sequence[Path], fanout: int) -> list[Path]:
        """At most `fanout` continuations of each path, flat and in order."""
        gate = asyncio.Semaphore(self.max_concurrency)

        async def of_one(path: Path) -> list[Path]:
            async with gate:
                return await self._of_one(request, path, fanout)

        return _flat(await asyncio.gather(*map(of_one, paths), return_exceptions=True))

    async def _of_one(self, request: Request, path: Path, fanout: int) -> list[Path]:
        found: list[Path] = []
        most = fanout
        while len(found) < fanout:
            most = min(most, fanout - len(found))
            try:
                more = await self._asked(request, path, most)
            except TooManyChoices:
                most //= 2
                continue
            if not more:
                break
            found += more
        return found[:fanout]

    async def _asked(self, request: Request, path: Path, n: int) -> list[Path]:
        body = self.continuing.body(self.endpoint, request, path, n)
        retrying = AsyncRetrying(**again(self.endpoint, request.deadline))
        try:
            reply: httpx2.Response = await retrying(self._once, body, request.deadline)
        except Busy as error:
            raise gave_up(self.endpoint, error, request.deadline) from error
        return self.continuing.paths(self.endpoint, path, _json(reply))

    async def _once(self, body: Mapping[str, Any], deadline: float | None) -> httpx2.Response:
        place, url = self.endpoint, self.continuing.url(self.endpoint)
        reply = await aposted(self.client, url, body, place, deadline)
        if not reply.is_success:
            raise refusal(url, place, reply, body)
        place.retries.answered()
        return reply


def _json(reply: httpx2.Response) -> object:
    try:
        found: object = reply.json()
    except ValueError as error:
        message = f"{reply.url} did not answer with JSON ({error}): is it an OpenAI-compatible endpoint?"
        raise SamplerError(message) from error
    return found


def _flat(results: Sequence[list[Path] | BaseException]) -> list[Path]:
    errors = [result for result in results if isinstance(result, BaseException)]
    refused = [error for error in errors if isinstance(error, NotContinuing)]
    if refused or (errors and len(errors) == len(results)):
        raise (refused or errors)[0]
    return [path for result in results if not isinstance(result, BaseException) for path in result]
