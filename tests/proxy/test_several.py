"""`use_n`: several samples by one request, where the upstream gives them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from adaptive_middleware.config import load
from adaptive_middleware.errors import DeadlineExceeded
from adaptive_middleware.proxy.app import application
from adaptive_middleware.proxy.body import Body
from adaptive_middleware.proxy.configured import upstream_of
from adaptive_middleware.proxy.drawing import Drawing
from adaptive_middleware.proxy.several import replies_of
from adaptive_middleware.proxy.upstream import Asked, Reply, Unusable, Upstream
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.testing.fake_sse import Script, fake_sse, whole_reply
from adaptive_middleware.types import Request
from tests.server.threaded import running

FIVE = {"strategy": "best-of-n", "policy": {"kind": "fixed", "n": 5}, "select": "majority", "max_samples": 5}


def asked(upstream: str, body: Mapping[str, Any]) -> httpx2.Response:
    """What a proxy with `use_n` answers."""
    place = {"base_url": upstream, "use_n": True}
    read = load({"version": 1, "upstream": place, "policies": {"default": FIVE}})
    with running(application(read.build(), upstream_of(read, keyed=False))) as url, httpx2.Client() as http:
        return http.post(f"{url}/v1/chat/completions", json=body)


def body(model: str, **more: object) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "What is 20 + 22?"}], **more}


def test_five_samples_are_one_request_whose_prompt_is_paid_for_once() -> None:
    with fake_openai() as server:
        found = asked(server.url, body("fake+arithmetic", seed=3)).json()
        (sent,) = server.calls
        assert (sent["n"], sent["seed"]) == (5, 3)
        alone = httpx2.post(f"{server.url}/chat/completions", json=body("fake+arithmetic")).json()
    (choice,) = found["choices"]
    assert choice["message"]["content"] == alone["choices"][0]["message"]["content"]
    assert choice["index"] == 0
    assert found["usage"]["prompt_tokens"] == alone["usage"]["prompt_tokens"]
    assert found["usage"]["completion_tokens"] == 5 * alone["usage"]["completion_tokens"]
    assert found["adaptive"]["samples"] == 5
    shares = [one["completion_tokens"] for one in found["adaptive"]["candidates"]]
    assert sum(shares) == found["usage"]["completion_tokens"]


@pytest.mark.parametrize(("kind", "requests"), [("single", 6), ("ignore-n", 5)])
def test_where_one_request_does_not_bring_them_the_rest_is_asked_for_one_by_one(
    kind: str, requests: int
) -> None:
    with fake_openai() as server:
        found = asked(server.url, body(f"fake+arithmetic+{kind}")).json()
        assert [call.get("n") for call in server.calls] == [5, *[None] * (requests - 1)]
    assert found["adaptive"]["samples"] == 5
    assert found["choices"][0]["message"]["content"].endswith("42.")


def test_the_majority_of_different_choices_wins() -> None:
    with fake_openai() as server:
        found = asked(server.url, body("fake+arithmetic+outlier")).json()
        assert len(server.calls) == 1
    assert found["choices"][0]["message"]["content"].endswith("42.")


def test_an_error_of_the_upstream_is_the_clients_as_it_came() -> None:
    with fake_openai() as server:
        found = asked(server.url, body("fake+fail"))
        assert len(server.calls) == 1
    assert (found.status_code, found.json()["error"]["message"]) == (500, "the model asked for a failure")


@pytest.mark.parametrize("said", [b"no JSON", b"[]", b'{"choices": 3}', b'{"choices": [1, 2]}'])
def test_what_is_no_completion_is_the_clients_to_see(said: bytes) -> None:
    reply = Reply(200, [], said)
    with pytest.raises(Unusable) as caught:
        replies_of(reply, 5)
    assert caught.value.reply is reply


def test_a_reply_without_choices_is_left_as_it_came_for_the_client_to_see() -> None:
    reply = Reply(200, [], b'{"choices": []}')
    assert replies_of(reply, 5) == [reply]
    with fake_sse({"m": [whole_reply({"choices": []})]}) as server:
        assert asked(server.url, body("m")).json() == {"choices": []}


def test_more_choices_than_were_asked_for_are_left_out() -> None:
    whole = {
        "choices": [{"index": k, "message": {"content": str(k)}} for k in range(4)],
        "usage": {"total_tokens": 9},
    }
    first, second = (
        json.loads(one.body) for one in replies_of(Reply(200, [], json.dumps(whole).encode()), 2)
    )
    assert (first["usage"], "usage" in second) == ({"total_tokens": 9}, False)
    assert [first["choices"][0]["message"]["content"], second["choices"][0]["message"]["content"]] == [
        "0",
        "1",
    ]


def test_a_deadline_ends_the_waiting() -> None:
    def script(_body: Mapping[str, Any]) -> Script:
        return [20.0, whole_reply({})]

    with fake_sse({"m": script}) as server:
        upstream = Upstream(server.url, use_n=True)
        drawing = Drawing(
            upstream,
            Asked("POST", b"/v1/chat/completions", b"", []),
            Body.read(json.dumps(body("m")).encode()),
        )

        async def drawn() -> None:
            async with upstream.client:
                await drawing.asample(Request("", deadline=time.monotonic() + 0.2), 3)

        with pytest.raises(DeadlineExceeded, match="before the upstream answered"):
            asyncio.run(drawn())
