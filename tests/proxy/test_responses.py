"""The Responses API through the proxy, by the OpenAI SDK over real HTTP: whole and streamed, and what goes out once."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from adaptive_middleware.testing.fake_openai import Server, fake_openai
from adaptive_middleware.testing.fake_sse import Script, StreamServer, fake_sse, whole_reply
from adaptive_middleware.transport.response_events import events_of, framed
from tests.proxy.site import THREE, proxied, sdk
from tests.server.loopback import eventually
from tests.transport.test_response_events import CALL, SAID, body

ADD: Any = {
    "type": "function",
    "name": "add",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "additionalProperties": False,
    },
}
LIVE = {"strategy": "first-good", "policy": {"kind": "fixed", "n": 2}, "good": 0.5, "max_samples": 2}
SURE = {"kind": "python", "target": "tests.config.parts:Scores", "args": {"value": 0.9}}
ONCE: Any = {"three": {**THREE, "when": {"model": "none"}}, "default": {"strategy": "pass-through"}}
ASKED: dict[str, Any] = {"input": "What is 3 + 4?"}


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


def written(items: list[dict[str, Any]], **more: Any) -> list[bytes]:
    return [framed(event) for event in events_of(body(items, **more))]


EVENTS = written([SAID, CALL])


QUEUED = whole_reply(body([SAID], status="queued"))


@pytest.fixture(scope="module")
def once() -> Iterator[tuple[StreamServer, str]]:
    with fake_sse({"m": [QUEUED]}) as upstream, proxied(upstream.url, ONCE) as url:
        yield upstream, url


def posted(url: str, model: str = "m", **more: Any) -> httpx2.Response:
    return httpx2.post(f"{url}/v1/responses", json={"model": model, **ASKED, **more})


def test_three_samples_give_the_winner_whole_with_the_usage_of_all(site: str, server: Server) -> None:
    with sdk(site) as client:
        raw = client.responses.with_raw_response.create(model="three+arithmetic+reasoning", **ASKED)
    found = raw.parse()
    assert (len(server.calls), found.output_text) == (3, "3 + 4 = 7\nThe answer is 7.")
    assert [item.type for item in found.output] == ["reasoning", "message"]
    assert found.usage is not None
    assert (
        found.usage.input_tokens_details.cached_tokens,
        found.usage.output_tokens_details.reasoning_tokens,
    ) == (3, 6)
    assert found.usage.total_tokens == found.usage.input_tokens + found.usage.output_tokens
    told = (found.model_extra or {})["adaptive"]
    assert (told["rule"], told["samples"], told["usage"]["requests"]) == ("three", 3, 3)
    assert told["usage"]["prompt_tokens"] == found.usage.input_tokens
    assert (raw.headers["x-adaptive-policy"], raw.headers["x-adaptive-samples"]) == ("three", "3")
    assert raw.headers["x-request-id"] == "req-" + found.id.removeprefix("resp-")


def test_the_winner_keeps_every_field_and_every_byte_goes_up() -> None:
    whole = body([SAID, CALL])
    sent = (
        b'{ "input":"What?" ,"model":"three-m", "future":{"a":[1e2,null]},"store":false, "temperature":1.0}'
    )
    with fake_sse({"three-m": [whole_reply(whole)]}) as upstream, proxied(upstream.url) as url:
        reply = httpx2.post(f"{url}/v1/responses", content=sent)
    found = reply.json()
    assert upstream.written == [sent] * 3
    assert found.pop("usage")["output_tokens_details"] == {"reasoning_tokens": 3}
    assert found.pop("adaptive")["samples"] == 3
    assert found == {name: value for name, value in whole.items() if name != "usage"}


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_goes_out_once_is_still_subject_to_the_rules_of_tools(
    server: Server, stream: bool
) -> None:
    tools = {"add": {"target": 0.5, "on_fail": "abstain"}}
    more: Any = {"previous_response_id": "resp-1", "tools": [ADD], "stream": stream}
    with (
        proxied(server.url, {"default": {**THREE, "tools": tools}}, prm={"kind": "lab"}) as url,
        sdk(url) as client,
    ):
        found: Any = client.responses.create(model="fake", **ASKED, **more)
        final = list(found)[-1].response if stream else found
        assert final.output_text.startswith("No tool was called: add must be right")
        assert (len(server.calls), final.usage.output_tokens_details.reasoning_tokens) == (1, 2)
        assert final.model_extra["adaptive"]["abstained"]
        assert client.responses.create(model="fake", **ASKED, store=True).output_text.startswith("You said")
    assert len(server.calls) == 2


def test_a_call_that_passes_through_comes_back_byte_for_byte() -> None:
    whole = whole_reply(body([SAID]))
    with fake_sse({"m": [whole]}) as upstream, proxied(upstream.url) as url:
        reply = posted(url)
    assert reply.content == whole.split(b"\r\n\r\n", 1)[1]


@pytest.mark.parametrize(
    "more",
    [
        {"store": True},
        {"previous_response_id": "resp-1"},
        {"background": True},
        {"conversation": "conv-1"},
        {"prompt": {"id": "p"}},
        {"tools": [ADD, {"type": "web_search"}]},
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
        {"tools": [{"type": "mcp", "server_label": "s", "server_url": "https://a"}]},
        {"tools": ["odd"]},
        {"input": [3]},
    ],
)
def test_what_would_have_several_effects_goes_out_once_and_comes_back_as_it_is(
    once: tuple[StreamServer, str], more: dict[str, Any]
) -> None:
    upstream, url = once
    upstream.asked.clear()
    reply = posted(url, model="m@three", **more)
    assert upstream.asked == [{"model": "m", **ASKED, **more}]
    assert reply.content == QUEUED.split(b"\r\n\r\n", 1)[1]


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_of_two_turns_runs_with_three_samples_each(
    site: str, server: Server, stream: bool
) -> None:
    given: list[Any] = [{"role": "user", "content": "What is 3 + 4?"}]
    with sdk(site) as client:

        def answer() -> Any:
            asked: Any = {"model": "three+reasoning", "input": given, "tools": [ADD]}
            if not stream:
                return client.responses.create(**asked)
            with client.responses.stream(**asked) as events:
                return events.get_final_response()

        first = answer()
        call = first.output[-1]
        assert (call.type, json.loads(call.arguments)) == ("function_call", {"a": 3, "b": 4})
        given += [item.to_dict() for item in first.output]
        given.append({"type": "function_call_output", "call_id": call.call_id, "output": "7"})
        assert answer().output_text == "The tool says 7."
    assert [len(asked["input"]) for asked in server.calls] == [1, 1, 1, 4, 4, 4]


@pytest.mark.parametrize("stream", [False, True])
def test_an_unsure_tool_call_is_withheld_and_the_client_told(fake: Server, stream: bool) -> None:
    policies = {"default": {**THREE, "tools": {"add": {"target": 0.999999, "on_fail": "abstain"}}}}
    with proxied(fake.url, policies, prm={"kind": "lab"}) as url, sdk(url) as client:
        found: Any = client.responses.create(model="fake", **ASKED, tools=[ADD], stream=stream)
        events = list(found) if stream else []
    final = events[-1].response if stream else found
    assert final.output_text.startswith("No tool was called: add must be right")
    assert [item.type for item in final.output] == ["message"]
    assert final.model_extra["adaptive"]["abstained"].startswith("add must be right with probability")
    assert (final.status, final.usage.output_tokens_details.reasoning_tokens) == ("completed", 6)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert not any("function_call" in event.type for event in events)


@pytest.mark.parametrize("policies", [None, {"default": THREE}, {"default": LIVE}])
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_the_upstreams_error(policies: Any, stream: bool) -> None:
    error = {"error": {"message": "no", "type": "t", "param": "p", "code": "c"}}
    prm: dict[str, Any] = {"prm": SURE} if policies == {"default": LIVE} else {}
    with (
        fake_sse({"m": [whole_reply(error, status=429, x_request_id="r")]}) as upstream,
        proxied(upstream.url, policies, **prm) as url,
        sdk(url) as client,
        pytest.raises(openai.RateLimitError) as caught,
    ):
        client.responses.create(model="m", **ASKED, stream=stream)
    assert (caught.value.body, caught.value.request_id) == (error["error"], "r")


def test_a_failed_response_comes_back_as_it_is() -> None:
    whole = body([], status="failed", error={"code": "server_error", "message": "no"})
    with fake_sse({"m": [whole_reply(whole)]}) as upstream, proxied(upstream.url, {"default": THREE}) as url:
        assert posted(url).json() == whole


@pytest.mark.parametrize("policies", [None, {"default": THREE}, {"default": LIVE}])
@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_its_upstream_requests(policies: Any, stream: bool) -> None:
    prm: dict[str, Any] = {"prm": SURE} if policies == {"default": LIVE} else {}
    expected = 1 if policies is None else 3 if policies == {"default": THREE} else 1 if stream else 2
    script: Script = [*EVENTS[:4], threading.Event()]
    with fake_sse({"m": script}) as slow, proxied(slow.url, policies, **prm) as url:
        host, port = url.removeprefix("http://").split(":")
        sent = json.dumps({"model": "m", **ASKED, "stream": stream}).encode()
        with socket.create_connection((host, int(port))) as raw:
            head = b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
            raw.sendall(head % len(sent) + sent)
            eventually(lambda: len(slow.asked) == expected)
        eventually(lambda: slow.open == 0)
        assert slow.abandoned == expected


def test_a_stored_response_is_fetched_from_the_upstream() -> None:
    script: Script = [whole_reply(body([SAID]))]
    with fake_sse({"/v1/responses/r": script}) as upstream, proxied(upstream.url) as url, sdk(url) as client:
        assert client.responses.retrieve("r").output_text == "Now."
    assert upstream.paths == ["/v1/responses/r"]
