"""Streams through the proxy: live and byte for byte where a call passes, the winner's own events where several were drawn."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncGenerator, Mapping
from itertools import count
from typing import Any

import httpx2
import openai
import pytest

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.proxy.body import Body
from adaptive_middleware.proxy.drawing import Drawing
from adaptive_middleware.proxy.flowing import Flowing
from adaptive_middleware.proxy.streaming import Streams
from adaptive_middleware.proxy.upstream import Asked, Upstream
from adaptive_middleware.proxy.writing import Writing
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.testing.fake_sse import (
    RESET,
    Script,
    answer_script,
    chunk,
    event,
    fake_sse,
    whole_reply,
)
from adaptive_middleware.types import Outcome, Path
from tests.proxy.site import THREE, proxied, sdk
from tests.proxy.test_chat import ADD, calls
from tests.server.threaded import eventually

USER: list[Any] = [{"role": "user", "content": "What is 3 + 4?"}]
LIVE = {"strategy": "first-good", "policy": {"kind": "fixed", "n": 2}, "good": 0.5, "max_samples": 2}
SURE = {"kind": "python", "target": "tests.config.parts:Scores", "args": {"value": 0.9}}
LATE = {"kind": "python", "target": "tests.proxy.site:Late"}


def three(scripts: list[Script]) -> Any:
    """A script for each request in turn, the last one for all others."""
    turn = count()

    def script(_: Mapping[str, Any]) -> Script:
        return scripts[min(next(turn), len(scripts) - 1)]

    return script


def posted(url: str, **more: Any) -> httpx2.Response:
    body = {"model": "m", "messages": USER, "stream": True, **more}
    return httpx2.post(f"{url}/v1/chat/completions", json=body)


def data(reply: httpx2.Response) -> list[Any]:
    """The data of all events; the last must be `[DONE]`."""
    *events, done, rest = reply.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(one.removeprefix("data: ")) for one in events]


def test_a_stream_that_passes_comes_byte_for_byte() -> None:
    script: Script = [
        b": hello\r\n\r\n",
        b'data:  {"choices": [],',
        b"\n",
        b'data: "x": 1.0}\n\ndata: [DO',
        b"NE]",
    ]
    with fake_sse({"m": script}) as upstream, proxied(upstream.url) as url:
        reply = posted(url)
    assert reply.content == b"".join(one for one in script if isinstance(one, bytes))
    assert reply.headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize("live", [False, True])
def test_an_easy_call_is_shown_while_it_is_written(live: bool) -> None:
    go = threading.Event()
    script: Script = [chunk("One"), go, chunk(" two"), chunk("", "stop"), b"data: [DONE]\n\n"]
    policies: Any = {"default": LIVE} if live else None
    prm: dict[str, Any] = {"prm": SURE} if live else {}
    with (
        fake_sse({"m": script}) as upstream,
        proxied(upstream.url, policies, **prm) as url,
        sdk(url) as client,
    ):
        stream = client.chat.completions.create(model="m", messages=USER, stream=True)
        first = next(stream)
        assert first.choices[0].delta.content == "One"
        assert not go.is_set()
        go.set()
        rest = list(stream)
    assert [one.choices[0].delta.content for one in rest] == [" two", ""]
    assert rest[-1].choices[0].finish_reason == "stop"
    told = (rest[-1].model_extra or {}).get("adaptive")
    assert (told is not None) == live
    assert told is None or (told["shown_from"], told["samples"]) == (0, 1)
    assert len(upstream.asked) == 1


def test_a_buffered_winner_is_its_own_stream_with_the_cost_of_all() -> None:
    odd = event({"id": "7", "x": 1.50, "choices": [{"index": 0, "delta": {"reasoning_content": "I"}}]})
    winner = [odd, *answer_script(["The answer", " is 7."], prompt=5)]
    loser = answer_script(["The answer is 8."], prompt=5)
    with (
        fake_sse({"m": three([winner, loser, winner])}) as upstream,
        proxied(upstream.url, {"default": THREE}) as url,
    ):
        reply = posted(url, stream_options={"include_usage": True})
    events = data(reply)
    assert reply.content.startswith(b"".join([odd, chunk("The answer"), chunk(" is 7.")]))
    assert events[3]["choices"][0]["finish_reason"] == "stop"
    assert (events[3]["adaptive"]["samples"], events[3]["adaptive"]["usage"]["requests"]) == (3, 3)
    assert events[4]["usage"] == {"prompt_tokens": 15, "completion_tokens": 5, "total_tokens": 20}
    assert len(events) == 5
    assert (reply.headers["x-adaptive-policy"], reply.headers["x-adaptive-samples"]) == ("default", "3")


def test_a_client_that_does_not_ask_for_usage_gets_none() -> None:
    script = answer_script(["7"], counted=False)
    with fake_sse({"m": script}) as upstream, proxied(upstream.url, {"default": THREE}) as url:
        events = data(posted(url))
    assert all("usage" not in one and one["choices"] for one in events)
    assert all("stream_options" not in body for body in upstream.asked)


def test_a_streamed_tool_loop_runs_with_three_samples_each() -> None:
    policies = {"default": THREE}
    with fake_openai() as fake, proxied(fake.url, policies) as url, sdk(url) as client:
        with client.chat.completions.stream(model="m", messages=USER, tools=[ADD]) as stream:
            first = stream.get_final_completion().choices[0]
        assert first.finish_reason == "tool_calls"
        called: Any = first.message.tool_calls
        assert json.loads(called[0].function.arguments) == {"a": 3, "b": 4}
        turn: list[Any] = [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [called[0].model_dump(include={"id", "type"})],
            }
        ]
        turn[0]["tool_calls"][0]["function"] = {"name": "add", "arguments": called[0].function.arguments}
        result: Any = {"role": "tool", "tool_call_id": called[0].id, "content": "7"}
        with client.chat.completions.stream(
            model="m", messages=[*USER, *turn, result], tools=[ADD]
        ) as stream:
            text = "".join(one.delta for one in stream if one.type == "content.delta")
    assert text == "The tool says 7."
    assert len(fake.calls) == 6


def test_calls_whose_arguments_cannot_be_read_come_as_they_are() -> None:
    parts = [{"index": 0, **calls('{"a": ')[0]}]
    script: Script = [
        event({"choices": [{"index": 0, "delta": {"tool_calls": parts}}]}),
        event({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        b"data: [DONE]\n\n",
    ]
    with fake_sse({"m": script}) as upstream, proxied(upstream.url, {"default": THREE}) as url:
        events = data(posted(url))
    assert events[0]["choices"][0]["delta"]["tool_calls"] == parts


@pytest.mark.parametrize("status", [400, 429, 503])
@pytest.mark.parametrize("policies", [None, {"default": THREE}, {"default": LIVE}])
def test_a_refused_stream_is_the_upstreams_error(policies: Any, status: int) -> None:
    error = {"error": {"message": "no stream", "type": "t", "param": "stream", "code": "c"}}
    prm: dict[str, Any] = {"prm": SURE} if policies == {"default": LIVE} else {}
    with (
        fake_sse({"m": [whole_reply(error, status=status, x_request_id="r")]}) as upstream,
        proxied(upstream.url, policies, **prm) as url,
        sdk(url) as client,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        client.chat.completions.create(model="m", messages=USER, stream=True)
    assert (caught.value.status_code, caught.value.body, caught.value.request_id) == (
        status,
        error["error"],
        "r",
    )


@pytest.mark.parametrize("policies", [None, {"default": THREE}])
def test_an_answer_in_one_piece_comes_as_it_is(policies: Any) -> None:
    whole = {"choices": [{"message": {"role": "assistant", "content": "7"}, "finish_reason": "stop"}]}
    with fake_sse({"m": [whole_reply(whole)]}) as upstream, proxied(upstream.url, policies) as url:
        reply = posted(url)
    assert (reply.status_code, reply.json(), reply.headers["content-type"]) == (
        200,
        whole,
        "application/json",
    )


@pytest.mark.parametrize("live", [False, True])
def test_a_stream_that_breaks_off_after_it_was_shown_ends_with_an_error_event(live: bool) -> None:
    policies: Any = {"default": LIVE} if live else None
    prm: dict[str, Any] = {"prm": SURE} if live else {}
    script: Script = [chunk("One"), 0.05, b'data: {"choi', RESET]
    with fake_sse({"m": script}) as upstream, proxied(upstream.url, policies, **prm) as url:
        events = data(posted(url))
        assert events[0]["choices"][0]["delta"]["content"] == "One"
        assert (events[-1]["error"]["type"], events[-1]["error"]["code"]) == ("BadGatewayError", 502)
        with sdk(url) as client, pytest.raises(openai.APIError, match="broke off"):
            list(client.chat.completions.create(model="m", messages=USER, stream=True))
    assert len(upstream.asked) == 2


def test_a_stream_that_breaks_off_is_one_sample_less_and_all_three_are_an_error() -> None:
    good: Script = answer_script(["7"])
    cut: Script = [chunk("One"), RESET]
    with fake_sse({"m": three([cut, good])}) as upstream, proxied(upstream.url, {"default": THREE}) as url:
        assert data(posted(url))[0]["choices"][0]["delta"]["content"] == "7"
    with fake_sse({"m": cut}) as upstream, proxied(upstream.url, {"default": THREE}) as url:
        reply = posted(url)
    assert (reply.status_code, reply.json()["error"]["type"]) == (502, "BadGatewayError")


@pytest.mark.parametrize("script", [[b"data: [DONE]\n\n"], [chunk("Half")], [b": nothing\n\n"]])
def test_a_stream_without_an_end_is_said_to_be_broken(script: Script) -> None:
    with fake_sse({"m": script}) as upstream, proxied(upstream.url, {"default": THREE}) as url:
        events = data(posted(url))
    assert "broke off" in events[-1]["error"]["message"]


@pytest.mark.parametrize(
    "bad", [b"data: {no\n\n", b"data: [1]\n\n", b"data: \xff\n\n", b'data: {"error": "x"}\n\n']
)
def test_a_garbled_stream_is_no_answer(bad: bytes) -> None:
    with fake_sse({"m": [bad]}) as upstream, proxied(upstream.url, {"default": THREE}) as url:
        reply = posted(url)
    assert (reply.status_code, reply.json()["error"]["type"]) == (502, "BadGatewayError")


def test_an_answer_that_the_deadline_cut_comes_as_far_as_it_came() -> None:
    script: Script = [chunk("One\n\n"), chunk("Two"), threading.Event()]
    prune = {"strategy": "prune", "policy": {"kind": "fixed", "n": 2}, "budget": {"seconds": 0.8}}
    with fake_sse({"m": script}) as upstream, proxied(upstream.url, {"default": prune}, prm=LATE) as url:
        events = data(posted(url))
        eventually(lambda: upstream.open == 0)
    said = "".join(one["choices"][0]["delta"].get("content") or "" for one in events)
    assert said.startswith("One")
    assert events[-1]["choices"][0]["finish_reason"] == "length"
    assert events[-1]["adaptive"]["degraded"]


@pytest.mark.parametrize("policies", [None, {"default": THREE}, {"default": LIVE}])
@pytest.mark.parametrize("begun", [False, True])
def test_a_client_that_leaves_a_stream_ends_its_upstream_requests(policies: Any, begun: bool) -> None:
    prm: dict[str, Any] = {"prm": SURE} if policies == {"default": LIVE} else {}
    expected = 3 if policies == {"default": THREE} else 1
    script: Script = [*([chunk("One")] if begun else []), threading.Event()]
    with fake_sse({"m": script}) as slow, proxied(slow.url, policies, **prm) as url:
        host, port = url.removeprefix("http://").split(":")
        body = json.dumps({"model": "m", "messages": USER, "stream": True}).encode()
        with socket.create_connection((host, int(port))) as raw:
            head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
            raw.sendall(head % len(body) + body)
            eventually(lambda: len(slow.asked) == expected)
            if begun and expected == 1:
                assert raw.recv(1000).startswith(b"HTTP/1.1 200")
        eventually(lambda: slow.open == 0)
        assert slow.abandoned == expected


async def _endless() -> AsyncGenerator[bytes, None]:
    yield b"one"
    await asyncio.Event().wait()


async def test_a_response_that_is_told_to_stop_says_farewell_and_closes_its_source() -> None:
    sent: list[Any] = []
    begun, closed = asyncio.Event(), asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message)
        if message.get("body"):
            begun.set()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def close() -> None:
        closed.set()

    work = asyncio.ensure_future(Flowing(200, [], _endless(), close, lambda: b"bye")({}, receive, send))
    await begun.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert [message.get("body") for message in sent] == [None, b"one", b"bye"]
    assert closed.is_set()


async def test_an_error_after_the_head_is_an_event() -> None:
    async def watched() -> AsyncGenerator[Path | Outcome, None]:
        yield Path()
        message = "no more"
        raise SamplerError(message)

    drawing = Drawing(Upstream("http://a/v1"), Asked("POST", b"/", b"", []), Body.read(b"{}"))
    writing = Writing(Streams(drawing), lambda _: None)
    text = b"".join([chunk async for chunk in writing.chunks(Path(), watched())]).decode()
    await drawing.upstream.client.aclose()
    assert (
        json.loads(text.split("\n\n")[0].removeprefix("data: "))["error"]["message"]
        == "SamplerError: no more"
    )
    assert text.endswith("data: [DONE]\n\n")


def test_a_method_that_http_clients_do_not_use_is_a_405() -> None:
    with proxied("http://127.0.0.1:9/v1") as url:
        reply = httpx2.request("TRACE", url + "/v1/models")
    assert (reply.status_code, reply.json()["error"]["code"]) == (405, 405)


def test_the_blank_line_of_the_last_event_may_be_missing() -> None:
    script: Script = [chunk("7"), chunk("", "stop").rstrip()]
    with fake_sse({"m": script}) as upstream, proxied(upstream.url, {"default": THREE}) as url:
        assert data(posted(url))[-1]["choices"][0]["finish_reason"] == "stop"
