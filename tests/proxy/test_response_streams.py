"""Streams of responses through the proxy: live where a call is easy, the winner's own events where several were drawn."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from adaptive_middleware.proxy.body import Body
from adaptive_middleware.proxy.drawing import Drawing
from adaptive_middleware.proxy.relay import relayed
from adaptive_middleware.proxy.streaming import Streams
from adaptive_middleware.proxy.upstream import Asked, Upstream
from adaptive_middleware.proxy.writing import Writing
from adaptive_middleware.testing.fake_openai import Server, fake_openai
from adaptive_middleware.testing.fake_sse import RESET, Script, fake_sse
from adaptive_middleware.transport.response_events import framed
from adaptive_middleware.transport.wire import RESPONSES
from tests.proxy.site import THREE, proxied, sdk
from tests.proxy.test_responses import ASKED, EVENTS, LIVE, SURE, posted
from tests.transport.test_response_events import CALL, SAID, USAGE, body


@pytest.fixture(scope="module")
def fake() -> Iterator[Server]:
    with fake_openai() as server:
        yield server


@pytest.fixture(scope="module")
def site(fake: Server) -> Iterator[str]:
    with proxied(fake.url) as url:
        yield url


@pytest.fixture
def server(fake: Server) -> Server:
    fake.reset()
    return fake


def parsed(reply: httpx2.Response) -> list[Any]:
    """The data of all events; each is named as its data say."""
    *events, rest = reply.text.split("\n\n")
    assert rest == ""
    lines = [one.strip().split("\n") for one in events]
    found = [json.loads(one[-1].removeprefix("data: ")) for one in lines]
    assert [one[0].removeprefix("event: ") for one in lines] == [one["type"] for one in found]
    return found


async def test_an_asynchronous_stream_is_the_winners_own_events(site: str, server: Server) -> None:
    async with (
        httpx2.AsyncClient() as http,
        AsyncOpenAI(base_url=f"{site}/v1", api_key="k", http_client=http, max_retries=0) as client,
    ):
        stream = await client.responses.create(model="three+arithmetic", **ASKED, stream=True)
        events: list[Any] = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    words = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(words) == len("".join(words).split(" "))  # as the fake cuts them
    last = events[-1]
    assert (last.type, last.response.output_text) == ("response.completed", "".join(words))
    assert last.response.model_extra["adaptive"]["samples"] == 3
    assert last.response.usage.output_tokens_details.reasoning_tokens == 6
    assert all(asked["stream"] is True for asked in server.calls)


def test_all_events_but_the_last_are_the_winners_own_bytes() -> None:
    odd = [EVENTS[0].replace(b'"created_at":1.0', b'"created_at":1.00, "odd":1e2'), *EVENTS[1:]]
    with fake_sse({"three": odd}) as upstream, proxied(upstream.url) as url:
        reply = posted(url, "three", stream=True)
    assert reply.content.startswith(b"".join(odd[:-1]))
    last = parsed(reply)[-1]
    assert last["response"].pop("adaptive")["samples"] == 3
    assert last["response"].pop("usage")["total_tokens"] == 3 * USAGE["total_tokens"]  # type: ignore[operator]
    assert last["response"] == {name: value for name, value in body([SAID, CALL]).items() if name != "usage"}
    assert reply.headers["x-adaptive-samples"] == "3"


@pytest.mark.parametrize("live", [False, True])
def test_an_easy_call_is_shown_while_it_is_written(live: bool) -> None:
    go = threading.Event()
    script: Script = [*EVENTS[:5], go, *EVENTS[5:]]
    prm: dict[str, Any] = {"prm": SURE} if live else {}
    with (
        fake_sse({"m": script}) as upstream,
        proxied(upstream.url, {"default": LIVE} if live else None, **prm) as url,
        sdk(url) as client,
    ):
        stream = client.responses.create(model="m", **ASKED, stream=True)
        first = [next(stream) for _ in range(5)]
        assert first[-1].type == "response.output_text.delta"
        assert not go.is_set()
        go.set()
        rest: list[Any] = list(stream)
    assert [one.sequence_number for one in (*first, *rest)] == list(range(len(EVENTS)))
    assert rest[-1].response.usage.to_dict() == USAGE
    assert ("adaptive" in rest[-1].response.model_extra) == live


@pytest.mark.parametrize("live", [False, True])
def test_a_stream_that_breaks_off_after_it_was_shown_ends_with_an_error_event(live: bool) -> None:
    prm: dict[str, Any] = {"prm": SURE} if live else {}
    script: Script = [*EVENTS[:5], 0.05, EVENTS[5][:20], RESET]
    with (
        fake_sse({"m": script}) as upstream,
        proxied(upstream.url, {"default": LIVE} if live else None, **prm) as url,
    ):
        events = parsed(posted(url, stream=True))
        with sdk(url) as client, pytest.raises(openai.APIError, match="broke off"):
            list(client.responses.create(model="m", **ASKED, stream=True))
    error = events[5]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (error["type"], error["code"], error["error"]["code"]) == ("error", "502", 502)
    assert [event["type"] for event in events[6:]] == (["response.failed"] if live else [])
    assert not live or events[6]["response"]["output"][0]["content"][0]["text"] == "Now."


FAILED = framed({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "x"}}})


@pytest.mark.parametrize(
    "bad", [FAILED, framed({"type": "error", "message": "x"}), framed({}), b"data: {no\n\n"]
)
def test_a_failed_sample_is_one_less_and_all_three_are_an_error(bad: bytes) -> None:
    turn = iter([[bad], EVENTS, EVENTS])
    with fake_sse({"m": lambda _: next(turn)}) as upstream, proxied(upstream.url, {"default": THREE}) as url:
        events = parsed(posted(url, stream=True))
    assert events[-1]["response"]["adaptive"]["samples"] == 3
    assert len(events) == len(EVENTS)
    with fake_sse({"m": [bad]}) as upstream, proxied(upstream.url, {"default": THREE}) as url:
        reply = posted(url, stream=True)
    assert (reply.status_code, reply.json()["error"]["type"]) == (502, "BadGatewayError")


ASKED_ONCE = Asked("POST", b"/v1/responses", b"", [])


async def test_a_stopping_proxy_says_farewell_in_the_words_of_the_api() -> None:
    async def events() -> AsyncIterator[bytes]:
        for event in EVENTS[:3]:
            yield event
        await asyncio.Event().wait()

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=events())

    sent, begun = list[bytes](), asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if len(sent) == 4:
            begun.set()

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        flowing = await relayed(Upstream("http://a/v1", client=client), ASKED_ONCE, b"{}")
        work = asyncio.ensure_future(flowing({}, asyncio.Event().wait, send))  # type: ignore[arg-type]
        await begun.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    assert b"".join(sent[:4]) == b"".join(EVENTS[:3])
    name, data = sent[4].decode().strip().split("\n")
    said = json.loads(data.removeprefix("data: "))
    assert (name, said["sequence_number"], said["code"]) == ("event: error", 3, "503")


async def test_a_stream_that_is_written_says_farewell_with_what_had_come() -> None:
    drawing = Drawing(Upstream("http://a/v1"), ASKED_ONCE, Body.read(b"{}"), RESPONSES)
    sent = [json.loads(event.split(b"data: ")[1]) for event in EVENTS[:5]]
    last = Writing(Streams(drawing), lambda _: None, sent).farewell().decode()
    await drawing.upstream.client.aclose()
    error, failed = (json.loads(one.split("data: ")[1]) for one in last.strip().split("\n\n"))
    assert (error["sequence_number"], failed["sequence_number"]) == (5, 6)
    assert (failed["response"]["id"], failed["response"]["status"]) == ("r", "failed")
