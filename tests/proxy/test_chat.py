"""Chat completions through the proxy, by the OpenAI SDK over real HTTP: what goes up, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import openai
import pytest

from adaptive_middleware.testing.fake_openai import Server, fake_openai
from adaptive_middleware.testing.fake_sse import Script, StreamServer, fake_sse, whole_reply
from tests.proxy.site import THREE, proxied, sdk

USER: list[Any] = [{"role": "user", "content": "What is 3 + 4?"}]
ADD: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
}


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


def test_three_samples_give_the_winner_with_the_usage_of_all_and_a_report(site: str, server: Server) -> None:
    with sdk(site) as client:
        raw = client.chat.completions.with_raw_response.create(model="three+arithmetic+split", messages=USER)
    reply = raw.parse()
    assert len(server.calls) == 3
    assert reply.model_extra is not None
    told = reply.model_extra["adaptive"]
    assert (told["rule"], told["samples"], told["usage"]["requests"]) == ("three", 3, 3)
    prompt = sum(len(json.dumps(body["messages"]).split()) for body in server.calls)  # as the fake counts
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == prompt
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert told["usage"]["completion_tokens"] == reply.usage.completion_tokens
    assert (raw.headers["x-adaptive-policy"], raw.headers["x-adaptive-samples"]) == ("three", "3")
    assert raw.headers["x-request-id"].startswith("req-")
    assert reply.choices[0].finish_reason == "stop"


def test_the_majority_wins(site: str, server: Server) -> None:
    with sdk(site) as client:
        reply = client.chat.completions.create(model="three+arithmetic", messages=USER)
    assert reply.choices[0].message.content == "3 + 4 = 7\nThe answer is 7."
    assert len(server.calls) == 3


def test_a_tool_loop_of_two_turns_runs_with_three_samples_each(site: str, server: Server) -> None:
    messages = list(USER)
    with sdk(site) as client:
        first = client.chat.completions.create(model="three", messages=messages, tools=[ADD])
        called: Any = first.choices[0].message.tool_calls
        (call,) = called
        assert first.choices[0].finish_reason == "tool_calls"
        assert json.loads(call.function.arguments) == {"a": 3, "b": 4}
        messages += [
            first.choices[0].message.model_dump(exclude_none=False),
            {"role": "tool", "tool_call_id": call.id, "content": "7"},
        ]
        second = client.chat.completions.create(model="three", messages=messages, tools=[ADD])
    assert second.choices[0].message.content == "The tool says 7."
    assert [len(body["messages"]) for body in server.calls] == [1, 1, 1, 3, 3, 3]
    assert server.calls[5]["messages"][1]["content"] is None


BODY = (
    b'{ "model":"%s" ,"messages":[{"role":"user","content":[{"type":"text","text":"\\u00e9"},{"type":"image_url",'
    b'"image_url":{"url":"data:,x"}}]},{"role":"assistant","content":null,"reasoning_content":"r","tool_calls":[]}],'
    b'"temperature":1.0, "future":{"a":[1e2,null]},"metadata":{}, "reasoning_effort":"low"}'
)


REPLY = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "length",
            "message": {
                "role": "assistant",
                "content": "Half",
                "reasoning_content": "I think",
                "extra": 1.50,
            },
        }
    ],
    "usage": {
        "prompt_tokens": 2,
        "completion_tokens": 3,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 1},
    },
    "service_tier": "flex",
}


@pytest.fixture
def bytes_server() -> Iterator[StreamServer]:
    scripts = {
        name: [whole_reply(REPLY, x_request_id="req-1", retry_after_ms="5")]
        for name in ("m", "three-m", "plain")
    }
    with fake_sse(scripts) as server:
        yield server


@pytest.mark.parametrize(("model", "times"), [("m", 1), ("three-m", 3)])
def test_every_byte_of_the_body_and_every_header_goes_on(
    bytes_server: StreamServer, model: str, times: int
) -> None:
    body = BODY % model.encode()
    headers = {"x-stainless-lang": "python", "openai-organization": "o", "x-adaptive-tags": "a, b"}
    with proxied(bytes_server.url) as url:
        reply = httpx2.post(
            f"{url}/v1/chat/completions?api-version=1",
            content=body,
            headers={**headers, "authorization": "Bearer k"},
        )
    assert reply.status_code == 200
    assert bytes_server.written == [body] * times
    assert bytes_server.paths == ["/v1/chat/completions?api-version=1"] * times
    for head in bytes_server.heads:
        assert "x-stainless-lang: python" in head
        assert "openai-organization: o" in head
        assert "authorization: bearer k" in head.lower()
        assert "x-adaptive" not in head
    assert (reply.headers["x-request-id"], reply.headers["retry-after-ms"]) == ("req-1", "5")


def test_the_winner_keeps_what_the_proxy_does_not_know(bytes_server: StreamServer) -> None:
    with proxied(bytes_server.url) as url:
        reply = httpx2.post(f"{url}/v1/chat/completions", content=BODY % b"three-m")
    found = reply.json()
    assert found["choices"] == REPLY["choices"]
    assert found["service_tier"] == "flex"
    assert found["usage"] == {
        "prompt_tokens": 6,
        "completion_tokens": 9,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    assert found["adaptive"]["usage"]["cached_tokens"] == 3
    assert b'"extra": 1.5' in reply.content


def test_a_call_that_passes_through_comes_back_byte_for_byte(bytes_server: StreamServer) -> None:
    with proxied(bytes_server.url) as url:
        reply = httpx2.post(f"{url}/v1/chat/completions", content=BODY % b"m")
    assert reply.content == json.dumps(REPLY).encode()
    assert "x-adaptive-policy" not in reply.headers


def test_samples_of_a_request_with_a_seed_get_seeds_of_their_own(bytes_server: StreamServer) -> None:
    with proxied(bytes_server.url) as url:
        body = {"model": "three-m", "messages": USER, "seed": 0x7FFFFFFF}
        httpx2.post(f"{url}/v1/chat/completions", json=body)
    assert sorted(body["seed"] for body in bytes_server.asked) == [0, 1, 0x7FFFFFFF]


def test_a_client_that_wants_several_choices_gets_them_from_the_upstream(site: str, server: Server) -> None:
    with sdk(site) as client:
        reply = client.chat.completions.create(model="three", messages=USER, n=2)
    assert (len(reply.choices), len(server.calls)) == (2, 1)


ERRORS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    503: openai.InternalServerError,
}
ERROR = {"error": {"message": "no", "type": "t", "param": "p", "code": "c"}}


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    scripts = {
        f"{kind}-{status}": [
            whole_reply(ERROR, status=status, x_request_id="req-9", retry_after="7", x_should_retry="false")
        ]
        for status in ERRORS
        for kind in ("m", "three")
    }
    with fake_sse(scripts) as upstream, proxied(upstream.url) as url:
        yield url


@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize("kind", ["m", "three"])
def test_errors_pass_with_their_class_body_and_headers(refusing: str, kind: str, status: int) -> None:
    with sdk(refusing) as client, pytest.raises(ERRORS[status]) as caught:
        client.chat.completions.create(model=f"{kind}-{status}", messages=USER)
    assert caught.value.body == ERROR["error"]
    assert caught.value.request_id == "req-9"
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_one_lost_sample_does_not_lose_the_call(server: Server, site: str) -> None:
    with sdk(site) as client:
        reply = client.chat.completions.create(model="three+fail=3", messages=USER)
    assert reply.model_extra is not None
    assert reply.model_extra["adaptive"]["samples"] == 3
    assert reply.model_extra["adaptive"]["usage"]["requests"] == 3
    assert len(server.calls) == 3


@pytest.mark.parametrize("model", ["m", "three-m"])
def test_what_is_no_chat_completion_comes_back_as_it_is(model: str) -> None:
    page = b"<html>captive</html>"
    with fake_sse({model: [whole_reply(page, kind="text/html")]}) as upstream, proxied(upstream.url) as url:
        reply = httpx2.post(f"{url}/v1/chat/completions", json={"model": model, "messages": USER})
    assert (reply.status_code, reply.content, reply.headers["content-type"]) == (200, page, "text/html")


def calls(*arguments: str) -> list[dict[str, Any]]:
    return [
        {"id": f"call-{k}", "type": "function", "function": {"name": "add", "arguments": one}}
        for k, one in enumerate(arguments)
    ]


ODD: list[dict[str, Any]] = [
    {"role": "assistant", "content": None, "tool_calls": calls('{"a": 1', "{}")},
    {"role": "assistant", "content": None, "tool_calls": [{**calls("{}")[0], "id": "same"}] * 2},
    {"role": "assistant", "content": "", "tool_calls": None},
    {"role": "assistant", "content": None, "refusal": "I will not."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sql", "input": "select"}}],
    },
    {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "odd"}]},
]


@pytest.fixture(scope="module")
def odd() -> Iterator[str]:
    def script(body: Mapping[str, Any]) -> Script:
        message = ODD[int(body["messages"][0]["content"])]
        return [
            whole_reply({**REPLY, "choices": [{"index": 0, "finish_reason": "stop", "message": message}]})
        ]

    with fake_sse({"m": script, "three": script}) as upstream, proxied(upstream.url) as url:
        yield url


@pytest.mark.parametrize("at", range(len(ODD)))
@pytest.mark.parametrize("model", ["m", "three"])
def test_odd_answers_are_answers(odd: str, model: str, at: int) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": str(at)}]}
    reply = httpx2.post(f"{odd}/v1/chat/completions", json=body)
    assert reply.status_code == 200
    assert reply.json()["choices"][0]["message"] == ODD[at]


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"text"', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_object_is_a_400_in_the_form_of_openai(site: str, body: bytes) -> None:
    reply = httpx2.post(f"{site}/v1/chat/completions", content=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "BadRequestError"


@pytest.mark.parametrize("values", [{}, {"model": 3, "messages": "no"}, {"messages": [None, 3]}])
def test_what_is_wrong_with_a_request_is_for_the_upstream_to_say(values: dict[str, Any]) -> None:
    refusal = {"/v1/chat/completions": [whole_reply({}, status=422)]}
    with fake_sse(refusal) as upstream, proxied(upstream.url, {"default": THREE}) as url:
        reply = httpx2.post(f"{url}/v1/chat/completions", json=values)
    assert reply.status_code == 422
    assert upstream.asked == [values]


@pytest.mark.parametrize("stream", [False, True])
def test_an_unsure_tool_call_is_withheld_and_the_client_told(fake: Server, stream: bool) -> None:
    tools = {"add": {"target": 0.999999, "on_fail": "abstain"}}
    policies = {"default": {**THREE, "tools": tools}}
    asked: list[Any] = [{"role": "user", "content": "Add 3 and 4."}]
    with proxied(fake.url, policies, prm={"kind": "lab"}) as url, sdk(url) as client:
        counting: Any = {"stream_options": {"include_usage": True}} if stream else {}
        found: Any = client.chat.completions.create(
            model="fake", messages=asked, tools=[ADD], stream=stream, **counting
        )
        chunks = list(found) if stream else []
    choices = [one for chunk in chunks for one in chunk.choices] if stream else found.choices
    parts = [one.delta if stream else one.message for one in choices]
    assert "".join(part.content or "" for part in parts).startswith("No tool was called: add must be right")
    assert not any(part.tool_calls for part in parts)
    assert choices[-1].finish_reason == "stop"
    adaptive = [
        chunk.model_extra["adaptive"] for chunk in chunks or [found] if "adaptive" in chunk.model_extra
    ]
    assert adaptive[0]["abstained"].startswith("add must be right with probability")
    assert (chunks[-1] if stream else found).usage.completion_tokens == 3 * 4  # {"a": 3, "b": 4} is 4 words
