"""Everything that is no chat completion goes to the upstream and back as it is; who may ask, and within which limits."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from adaptive_middleware.config import Plan, load
from adaptive_middleware.errors import ConfigError, SamplerError
from adaptive_middleware.proxy import upstream as proxy_upstream
from adaptive_middleware.proxy.app import Limits, application
from adaptive_middleware.proxy.configured import upstream_of
from adaptive_middleware.proxy.replies import answered
from adaptive_middleware.proxy.upstream import Upstream
from adaptive_middleware.rules import Rule
from adaptive_middleware.strategies.pass_through import pass_through
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.testing.fake_sse import CUT, Script, StreamServer, fake_sse, whole_reply
from adaptive_middleware.transport.wire import CHAT
from adaptive_middleware.types import Outcome, Path
from adaptive_middleware.types import Request as Call
from tests.proxy.site import THREE, proxied, sdk
from tests.server.threaded import eventually, running

KEY, SECRET = "amw_0123456789", "sk-upstream-0123456789"
USER: list[Any] = [{"role": "user", "content": "Hi"}]
REPLY = {"choices": [{"message": {"content": "Yes"}, "finish_reason": "stop"}]}


@pytest.fixture(scope="module")
def upstreams() -> Iterator[StreamServer]:
    paths = ("/v1/odd%2Fpath?a=1&b=%20", "/tokenize", "/v1/responses", "/configure", "/v1/models/x")
    scripts: dict[str, Any] = {path: [whole_reply({"path": path}, x_one="1")] for path in paths}
    scripts |= {"three": [whole_reply(REPLY)], "echo": [whole_reply({"error": SECRET}, status=401)]}
    with fake_sse(scripts) as server:
        yield server


@pytest.fixture
def upstream(upstreams: StreamServer) -> StreamServer:
    for seen in (upstreams.asked, upstreams.paths, upstreams.heads, upstreams.written):
        seen.clear()
    return upstreams


@pytest.fixture(scope="module")
def keyed(upstreams: StreamServer) -> Iterator[str]:
    with proxied(upstreams.url, {"default": THREE}, key=KEY) as url:
        yield url


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/odd%2Fpath?a=1&b=%20"),
        ("DELETE", "/v1/models/x"),
        ("POST", "/tokenize"),
        ("PUT", "/configure"),
    ],
)
def test_any_other_path_is_the_upstreams_own(upstream: StreamServer, method: str, path: str) -> None:
    with proxied(upstream.url) as url:
        reply = httpx2.request(method, url + path, headers={"x-a": "b"})
    assert reply.json() == {"path": path}
    assert reply.headers["x-one"] == "1"
    assert upstream.heads[0].startswith(f"{method} {path} HTTP/1.1")
    assert "x-a: b" in upstream.heads[0]


def test_responses_pass_verbatim_through_the_sdk(upstream: StreamServer) -> None:
    body = b'{"input": "Hi",  "model": "\\u0061", "x": 1.0}'
    with proxied(upstream.url) as url:
        reply = httpx2.post(url + "/v1/responses", content=body, headers={"content-type": "application/json"})
    assert (upstream.written, reply.json()) == ([body], {"path": "/v1/responses"})


def test_the_upstreams_models_are_listed() -> None:
    with fake_openai() as fake, proxied(fake.url) as url, sdk(url) as client:
        assert [model.id for model in client.models.list()] == ["fake"]


@pytest.mark.parametrize("path", ["/v1/../admin", "/v1/%2e%2E/admin", "/v1/a/..%2fb", "/v1/./x", "/v1/..\\x"])
def test_a_path_cannot_climb(upstream: StreamServer, path: str) -> None:
    with proxied(upstream.url) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            assert raw.recv(1000).startswith(b"HTTP/1.1 400")
    assert upstream.paths == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 401),
        ([("Authorization", f"Bearer {KEY}")], 200),
        ([("Authorization", f"Bearer {KEY}x")], 401),
        ([("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")], 401),
        ([("api-key", KEY)], 401),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/tokenize"])
def test_with_a_key_only_its_holders_are_served_and_the_upstream_never_sees_it(
    upstream: StreamServer, keyed: str, headers: list[tuple[str, str]], status: int, path: str
) -> None:
    reply = httpx2.post(keyed + path, json={"model": "three", "messages": USER}, headers=headers)
    assert httpx2.get(keyed + "/health").status_code == 200
    assert httpx2.get(keyed + "/metrics", headers=headers).status_code == status
    assert reply.status_code == status
    assert KEY not in "".join(upstream.heads)
    assert "authorization" not in "".join(upstream.heads).lower()


def test_the_configured_key_takes_the_place_of_the_clients(
    monkeypatch: pytest.MonkeyPatch, upstream: StreamServer
) -> None:
    monkeypatch.setenv("UP_KEY", SECRET)
    with proxied(upstream.url, key_env="UP_KEY") as url:
        for path in ("/tokenize", "/v1/responses"):
            httpx2.post(url + path, json={}, headers={"authorization": "Bearer mine"})
    for head in upstream.heads:
        assert f"Authorization: Bearer {SECRET}".lower() in head.lower()
        assert "mine" not in head


@pytest.mark.parametrize("policies", [None, {"default": THREE}])
def test_the_upstreams_key_is_blotted_out_of_its_errors(
    monkeypatch: pytest.MonkeyPatch, upstream: StreamServer, policies: Any
) -> None:
    monkeypatch.setenv("UP_KEY", SECRET)
    with proxied(upstream.url, policies, key_env="UP_KEY") as url:
        reply = httpx2.post(url + "/v1/chat/completions", json={"model": "echo", "messages": USER})
    assert (reply.status_code, reply.json()) == (401, {"error": "***"})


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "http://localhost"}])
def test_without_a_key_web_pages_are_not_served(upstream: StreamServer, headers: dict[str, str]) -> None:
    with proxied(upstream.url) as url:
        assert httpx2.get(url + "/tokenize", headers=headers).status_code == 403
    assert upstream.paths == []


def test_a_body_over_the_limit_is_a_413_and_a_slow_one_a_408(upstream: StreamServer) -> None:
    with proxied(upstream.url, limits=Limits(100, 0.3)) as url:
        assert httpx2.post(url + "/v1/chat/completions", content=b"x" * 101).status_code == 413
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
            assert raw.recv(1000).startswith(b"HTTP/1.1 408")
    assert upstream.paths == []


def test_metrics_count_requests_samples_and_tokens(upstream: StreamServer) -> None:
    with proxied(upstream.url, {"default": THREE}) as url:
        httpx2.post(url + "/v1/chat/completions", json={"model": "three", "messages": USER})
        httpx2.post(url + "/v1/chat/completions", json={"model": "echo", "messages": USER})
        httpx2.post(url + "/v1/chat/completions", content=b"no")
        text = httpx2.get(url + "/metrics").text
    assert 'adaptive_proxy_requests_total{status="200"} 1.0' in text
    assert 'adaptive_proxy_requests_total{status="401"} 1.0' in text
    assert 'adaptive_proxy_requests_total{status="400"} 1.0' in text
    assert 'adaptive_proxy_samples_total{policy="default"} 3.0' in text
    assert "adaptive_proxy_in_flight 0.0" in text


@pytest.mark.parametrize("policies", [None, {"default": THREE}])
def test_an_upstream_that_is_not_there_is_a_502(policies: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with proxied(f"http://127.0.0.1:{port}/v1", policies) as url:
        reply = httpx2.post(url + "/v1/chat/completions", json={"model": "m", "messages": USER})
    assert (reply.status_code, reply.json()["error"]["type"]) == (502, "BadGatewayError")


@pytest.mark.parametrize("policies", [None, {"default": THREE}])
def test_an_upstream_that_says_nothing_is_a_504(policies: Any) -> None:
    with (
        fake_sse({"m": [b"HTTP/1.1 200 OK\r\n", threading.Event()]}) as slow,
        proxied(slow.url, policies, timeout=0.3) as url,
    ):
        reply = httpx2.post(url + "/v1/chat/completions", json={"model": "m", "messages": USER})
    assert (reply.status_code, reply.json()["error"]["type"]) == (504, "GatewayTimeoutError")


def test_the_time_of_a_call_is_bounded_by_its_policy() -> None:
    hanging: dict[str, Script] = {"m": [b"HTTP/1.1 200 OK\r\n", threading.Event()]}
    with (
        fake_sse(hanging) as slow,
        proxied(slow.url, {"default": {**THREE, "budget": {"seconds": 0.3}}}) as url,
    ):
        reply = httpx2.post(url + "/v1/chat/completions", json={"model": "m", "messages": USER})
        eventually(lambda: slow.open == 0)
    assert (reply.status_code, "DeadlineExceeded" in reply.text) == (504, True)


@pytest.mark.parametrize("policies", [None, {"default": THREE}])
def test_a_body_that_breaks_off_is_no_answer(policies: Any) -> None:
    half = whole_reply(REPLY)[:-5]
    with fake_sse({"m": [half, CUT]}) as cut, proxied(cut.url, policies) as url:
        body = {"model": "m", "messages": USER}
        if policies is None:
            with pytest.raises(httpx2.RemoteProtocolError):
                httpx2.post(url + "/v1/chat/completions", json=body)
        else:
            assert httpx2.post(url + "/v1/chat/completions", json=body).status_code == 502


@pytest.mark.parametrize("policies", [None, {"default": THREE}])
@pytest.mark.parametrize("headed", [False, True])
def test_a_client_that_leaves_ends_its_upstream_requests(policies: Any, headed: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\ncontent-type: application/json\r\n\r\n{"
    script: Script = [head if headed else b"HTTP/1.1 200 OK\r\n", threading.Event()]
    with fake_sse({"m": script}) as slow, proxied(slow.url, policies) as url:
        host, port = url.removeprefix("http://").split(":")
        body = json.dumps({"model": "m", "messages": USER}).encode()
        with socket.create_connection((host, int(port))) as raw:
            lines = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
            raw.sendall(lines % len(body) + body)
            eventually(lambda: len(slow.asked) == (1 if policies is None else 3))
        eventually(lambda: slow.open == 0)
        assert slow.abandoned == (1 if policies is None else 3)


def test_an_error_whose_body_breaks_off_is_no_whole_error() -> None:
    half = whole_reply(REPLY, status=500)[:-5]
    with (
        fake_sse({"m": [half, CUT]}) as cut,
        proxied(cut.url) as url,
        pytest.raises(httpx2.RemoteProtocolError),
    ):
        httpx2.post(url + "/v1/chat/completions", json={"model": "m", "messages": USER})


def test_an_answer_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_upstream, "_LARGEST", 1000)
    with (
        fake_sse({"m": [whole_reply(b"x" * 1001)]}) as upstream,
        proxied(upstream.url, {"default": THREE}) as url,
    ):
        reply = httpx2.post(url + "/v1/chat/completions", json={"model": "m", "messages": USER})
    assert (reply.status_code, "larger than 1000 bytes" in reply.text) == (502, True)


def test_an_error_of_our_own_says_its_type_and_no_more() -> None:
    def wrong(_: Call) -> bool:
        message = "a secret"
        raise ValueError(message)

    plan = Plan((Rule("bad", pass_through, wrong),))
    with running(application(plan, Upstream("http://127.0.0.1:9/v1"))) as url:
        reply = httpx2.post(url + "/v1/chat/completions", json={"model": "m"})
    assert (reply.status_code, reply.json()["error"]["message"]) == (500, "the proxy failed: ValueError")


def test_a_strategy_must_return_a_path_as_it_was_drawn() -> None:
    with pytest.raises(SamplerError, match="as it was drawn"):
        answered(Outcome(Path(("made up",))), [], CHAT)


def test_without_an_upstream_there_is_no_proxy() -> None:
    with pytest.raises(ConfigError, match="no upstream to stand before"):
        upstream_of(load({"version": 1}), keyed=False)


def test_a_key_that_is_not_set_is_named() -> None:
    with (
        pytest.raises(ConfigError, match="NO_SUCH_KEY is not set"),
        proxied("http://a/v1", key_env="NO_SUCH_KEY"),
    ):
        pass
