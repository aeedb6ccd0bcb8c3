"""The OpenAI SDK as a client of the contract: over a transport of either HTTP library, or pointed at the proxy."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import httpx2
from openai import AsyncOpenAI, OpenAI

from adaptive_middleware import Middleware
from adaptive_middleware.testing.contract import Answer, Json
from adaptive_middleware.transport import httpx as over_httpx
from adaptive_middleware.transport import httpx2 as over_httpx2
from adaptive_middleware.types import ToolCall
from tests.proxy.site import proxied

UNKNOWN = ("vendor_field",)
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""No certificates: only the loopback address is asked, and to read them for each client takes longer than the calls."""


def arguments(body: Json) -> dict[str, Any]:
    """A body as the SDK takes it: what it does not know goes into `extra_body`."""
    known = {name: value for name, value in body.items() if name not in UNKNOWN}
    unknown = {name: value for name, value in body.items() if name in UNKNOWN}
    return {**known, **({"extra_body": unknown} if unknown else {})}


def tool_call(call: Mapping[str, Any]) -> ToolCall:
    """A tool call of a chat completion; the SDK leaves its arguments to the caller."""
    written = call["function"]["arguments"]
    try:
        found = json.loads(written)
    except ValueError:
        found = {"cannot be read": written}
    return ToolCall(call["function"]["name"], found, call["id"])


def answer_of(whole: Mapping[str, Any]) -> Answer:
    """What the caller gets of a chat completion's JSON."""
    message, usage = whole["choices"][0]["message"], whole["usage"]
    calls = tuple(tool_call(call) for call in message.get("tool_calls") or ())
    counts = usage["prompt_tokens"], usage["completion_tokens"]
    return Answer(message.get("content") or "", calls, counts, whole.get("adaptive"))


@dataclass(frozen=True)
class SdkClient:
    """Implements `Client` with the SDK's two clients."""

    blocking: OpenAI
    awaited: AsyncOpenAI

    def call(self, body: Json) -> Answer:
        return answer_of(self.blocking.chat.completions.create(**arguments(body)).model_dump())

    async def acall(self, body: Json) -> Answer:
        return answer_of((await self.awaited.chat.completions.create(**arguments(body))).model_dump())

    def stream(self, body: Json) -> Iterator[str]:
        with self.blocking.chat.completions.create(**arguments(body), stream=True) as chunks:
            for chunk in chunks:
                yield from (choice.delta.content for choice in chunk.choices if choice.delta.content)

    async def astream(self, body: Json) -> AsyncIterator[str]:
        async with await self.awaited.chat.completions.create(**arguments(body), stream=True) as chunks:
            async for chunk in chunks:
                for choice in chunk.choices:
                    if choice.delta.content:
                        yield choice.delta.content


@contextmanager
def opened(url: str, http: Any, awaited: Any) -> Iterator[SdkClient]:
    """The SDK's clients over two HTTP clients, which are closed at the end."""
    with OpenAI(base_url=url, api_key="k", max_retries=0, http_client=http) as client:
        yield SdkClient(client, AsyncOpenAI(base_url=url, api_key="k", max_retries=0, http_client=awaited))
    asyncio.run(awaited.aclose())


def over(library: Any, ours: Any) -> Callable[[str, Json | None], Any]:
    """The adapter that is a transport; asynchronous connections do not outlive their event loop."""

    @contextmanager
    def adapter(url: str, config: Json | None) -> Iterator[SdkClient]:
        inner = library.HTTPTransport(verify=TLS)
        ainner = library.AsyncHTTPTransport(verify=TLS, limits=library.Limits(max_keepalive_connections=0))
        if config is not None:
            middleware = Middleware.from_config(config)
            inner = ours.AdaptiveTransport(middleware, inner)
            ainner = ours.AsyncAdaptiveTransport(middleware, ainner)
        http, awaited = (
            library.Client(transport=inner, verify=TLS),
            library.AsyncClient(transport=ainner, verify=TLS),
        )
        with opened(url, http, awaited) as client:
            yield client

    return adapter


through_httpx2 = over(httpx2, over_httpx2)
through_httpx = over(httpx, over_httpx)


@contextmanager
def through_the_proxy(url: str, config: Json | None) -> Iterator[SdkClient]:
    """The SDK as it comes, its base URL changed."""
    with ExitStack() as stack:
        if config is not None:
            parts = {name: part for name, part in config.items() if name not in {"version", "policies"}}
            url = stack.enter_context(proxied(url, config["policies"], **parts)) + "/v1"
        yield stack.enter_context(through_httpx2(url, None))
