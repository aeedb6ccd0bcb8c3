"""Budgets through the proxy: counted whatever the policy, and refused in words that a client understands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from adaptive_middleware.testing.fake_openai import Server, fake_openai
from tests.proxy.site import THREE, proxied

USER: list[Any] = [{"role": "user", "content": "What is 3 + 4?"}]
TWO = {"amount": {"requests": 2}}


@pytest.fixture(scope="module")
def fake() -> Iterator[Server]:
    with fake_openai() as server:
        yield server


@pytest.fixture
def server(fake: Server) -> Server:
    fake.reset()
    return fake


def asked(url: str, **more: Any) -> httpx2.Response:
    return httpx2.post(f"{url}/v1/chat/completions", json={"model": "m+arithmetic", "messages": USER, **more})


def test_a_policy_that_passes_calls_on_is_counted_too_and_then_refused(server: Server) -> None:
    with proxied(server.url, {"default": {"strategy": "pass-through"}}, budgets=[TWO]) as url:
        statuses = [asked(url).status_code, asked(url, stream=True).status_code]
        refused = asked(url)
        streamed = asked(url, stream=True)
    assert statuses == [200, 200]
    assert (refused.status_code, streamed.status_code) == (429, 429)
    assert "BudgetExhausted: the budget 'requests per day' (2)" in refused.json()["error"]["message"]
    assert len(server.calls) == 2


def test_a_draw_shrinks_and_the_report_says_so(server: Server) -> None:
    with proxied(server.url, {"default": THREE}, budgets=[TWO]) as url:
        told = asked(url).json()["adaptive"]
    assert told["budget"] == [
        {"budget": "requests per day", "unit": "requests", "reserved": 2, "settled": 2, "left": 0, "free": 2}
    ]
    assert any("has room for 2 of 3" in cause for cause in told["degraded"])
    assert len(server.calls) == 2


def test_tenants_are_told_apart_by_their_tags(server: Server) -> None:
    tenant = {"amount": {"requests": 1}, "scope": "tenant"}
    with proxied(server.url, {"default": {"strategy": "pass-through"}}, budgets=[tenant]) as url:

        def status(name: str) -> int:
            headers = {"x-adaptive-tags": f"tenant:{name}"}
            body = {"model": "m+arithmetic", "messages": USER}
            return httpx2.post(f"{url}/v1/chat/completions", json=body, headers=headers).status_code

        assert [status("a"), status("a"), status("b")] == [200, 429, 200]


def test_a_store_that_cannot_be_used_is_a_503(server: Server, tmp_path: Path) -> None:
    store = {"kind": "sqlite", "path": str(tmp_path / "missing" / "b.db")}
    with proxied(server.url, budgets=[TWO], budget={"store": store}) as url:
        reply = asked(url)
    assert (reply.status_code, reply.json()["error"]["type"]) == (503, "ServiceUnavailableError")
    assert server.calls == []
