"""The OpenAI SDK over the transports, sync and async, of both HTTP libraries, against one fake server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import httpx2
import pytest
from openai import AsyncOpenAI, DefaultHttpxClient, OpenAI

from adaptive_middleware import Middleware
from adaptive_middleware.testing.fake_openai import Server, fake_openai
from adaptive_middleware.transport import httpx as over_httpx
from adaptive_middleware.transport import httpx2 as over_httpx2

WAYS: dict[str, Callable[[Middleware], Any]] = {
    "httpx2": lambda m: httpx2.Client(transport=over_httpx2.AdaptiveTransport(m)),
    "httpx2-async": lambda m: httpx2.AsyncClient(transport=over_httpx2.AsyncAdaptiveTransport(m)),
    "httpx": lambda m: httpx.Client(transport=over_httpx.AdaptiveTransport(m)),
    "httpx-async": lambda m: httpx.AsyncClient(transport=over_httpx.AsyncAdaptiveTransport(m)),
}


@pytest.fixture(scope="session")
def of_sdk() -> Any:
    """The transports of the HTTP library that the SDK speaks unless told otherwise: httpx2 since its version 3."""
    return over_httpx2 if issubclass(DefaultHttpxClient, httpx2.Client) else over_httpx


@dataclass
class Asking:
    """Clients over one of the four transports, and calls of their methods as coroutines."""

    way: str
    url: str
    opened: list[Any]

    def client(self, middleware: Middleware | None, **fields: Any) -> Any:
        """The SDK's own client; without a middleware it has the SDK's own transport."""
        http = None if middleware is None else WAYS[self.way](middleware)
        given = {"base_url": self.url, "api_key": "none", "max_retries": 0, "http_client": http, **fields}
        self.opened.append(AsyncOpenAI(**given) if self.way.endswith("async") else OpenAI(**given))
        return self.opened[-1]

    async def result(self, method: Callable[..., Any], **arguments: Any) -> Any:
        """What the method of a client returns, in a thread where it would block."""
        if self.way.endswith("async"):
            return await method(**arguments)
        return await asyncio.to_thread(method, **arguments)

    async def chat(self, client: Any, behaviour: str, **body: Any) -> Any:
        """A chat completion; the model's behaviour is as in `fake_answers`."""
        asked = {"model": f"fake+{behaviour}", "messages": user("What is 3 + 4?"), **body}
        return await self.result(client.chat.completions.create, **asked)

    async def items(self, stream: Any) -> list[Any]:
        """All that a stream gives."""
        if self.way.endswith("async"):
            return [item async for item in stream]
        return await asyncio.to_thread(list, stream)


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with fake_openai() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.reset()
    return running


@pytest.fixture(params=WAYS)
async def asking(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Asking]:
    found = Asking(request.param, server.url, [])
    yield found
    for client in found.opened:
        await found.result(client.close)
