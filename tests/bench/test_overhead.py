"""What `bench.overhead` measures on the wire has the names that other work relies on."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from adaptive_middleware.testing.fake_openai import fake_openai
from bench.posting import INSTANT, post, together
from bench.wire import wire


def test_the_figures_of_transport_and_proxy_are_there_and_are_those_of_real_calls() -> None:
    found = asyncio.run(wire(repeats=1))
    assert {"transport_vs_sdk", "proxy_added_ms", "proxy_n8_vs_direct"} <= found.keys()
    assert found["proxy_n8_vs_direct"] > 0.9
    assert found["eight_direct_vs_direct"] > 1


def test_a_failed_call_is_never_timed_as_a_fast_one() -> None:
    async def call(url: str) -> object:
        async with httpx2.AsyncClient() as http:
            return await together(post(http, url, f"{INSTANT}+fail"), 2)()

    with fake_openai() as server, pytest.raises(httpx2.HTTPStatusError):
        asyncio.run(call(server.url))
