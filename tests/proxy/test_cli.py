"""The command: a real process, its farewell, and what it says when it cannot start."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from adaptive_middleware.cli import app as shell
from adaptive_middleware.server import serving
from adaptive_middleware.testing.fake_sse import chunk, fake_sse, whole_reply
from tests.server.threaded import eventually

REPLY = {"choices": [{"message": {"content": "Yes"}, "finish_reason": "stop"}]}
POLICY = "policies: {default: {strategy: best-of-n, policy: {kind: fixed, n: 2}}}\n"
LIVE = """
prm: {kind: python, target: "tests.config.parts:Scores", args: {value: 0.9}}
policies: {default: {strategy: first-good, good: 0.5, max_samples: 2}}
"""


@contextmanager
def process(folder: Path, config: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real `serve`, and its address, or what it said instead."""
    (folder / "a.yaml").write_text(f"version: 1\n{config}")
    code = "from adaptive_middleware.cli import main; main()"
    arguments = ["serve", "--config", str(folder / "a.yaml"), "--port", "0", "--json", *options]
    started = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "UP_KEY": "", "CLIENT_KEY": "amw_1"},
    )
    assert started.stdout is not None
    assert started.stderr is not None
    try:
        line = started.stdout.readline()
        yield started, json.loads(line)["url"] if line else started.stderr.read()
    finally:
        started.kill()
        started.communicate()


def answers(url: str) -> bool:
    try:
        return httpx2.get(url + "/health").is_success
    except httpx2.TransportError:
        return False


def test_sigterm_finishes_what_was_begun_and_ends_with_success(tmp_path: Path) -> None:
    go = threading.Event()
    reply = whole_reply(REPLY)
    with (
        fake_sse({"m": [reply[:20], go, reply[20:]]}) as upstream,
        process(tmp_path, f"upstream: {{base_url: '{upstream.url}'}}\n{POLICY}") as (server, url),
    ):
        client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        client.request("POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": []}))
        eventually(lambda: upstream.open == 2)
        server.send_signal(signal.SIGTERM)
        eventually(lambda: not answers(url))
        go.set()
        answer = client.getresponse()
        assert (answer.status, json.loads(answer.read())["adaptive"]["samples"]) == (200, 2)
        client.close()
        assert server.wait(60) == 0


def test_sigterm_waits_no_longer_than_its_grace(tmp_path: Path) -> None:
    with (
        fake_sse({"m": [b"HTTP/1.1 200 OK\r\n", threading.Event()]}) as upstream,
        process(tmp_path, f"upstream: {{base_url: '{upstream.url}'}}\n{POLICY}", "--grace", "1") as (
            server,
            url,
        ),
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as raw,
    ):
        raw.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 27\r\n\r\n"
            b'{"model":"m","messages":[]}'
        )
        eventually(lambda: upstream.open == 2)
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
        eventually(lambda: upstream.open == 0)


@pytest.mark.parametrize("live", [False, True])
def test_a_stream_that_outlasts_the_grace_ends_with_an_error_event(tmp_path: Path, live: bool) -> None:
    with fake_sse({"m": [chunk("One"), threading.Event()]}) as upstream:
        config = f"upstream: {{base_url: '{upstream.url}'}}\n" + (LIVE if live else "")
        with process(tmp_path, config, "--grace", "1") as (server, url):
            client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
            body = json.dumps({"model": "m", "messages": [], "stream": True})
            client.request("POST", "/v1/chat/completions", body)
            reply = client.getresponse()
            assert b"One" in reply.readline()
            server.send_signal(signal.SIGTERM)
            *_, error, done, end = reply.read().decode().split("\n\n")
            assert json.loads(error.strip().removeprefix("data: "))["error"]["code"] == 503
            assert (done, end) == ("data: [DONE]", "")
            client.close()
            assert server.wait(60) == 0


@pytest.mark.parametrize(
    ("config", "options", "said"),
    [
        ("", [], "there is no upstream to stand before"),
        ("upstream: {base_url: http://a/v1, key_env: UP_KEY}\n", [], "UP_KEY is not set"),
        ("upstream: {base_url: http://a/v1}\n", ["--host", "0.0.0.0"], "0.0.0.0 can be reached from other"),  # noqa: S104 - refused
        ("upstream: {base_url: 'file:///etc'}\n", [], "http(s)://host:port/v1"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    tmp_path: Path, config: str, options: list[str], said: str
) -> None:
    with process(tmp_path, config, *options) as (server, shown):
        assert server.wait(60) == 1
    assert shown.startswith("error: ")
    assert said in shown
    assert "Traceback" not in shown


def test_any_address_can_be_had_with_a_key(tmp_path: Path) -> None:
    options = ["--host", "0.0.0.0", "--key-env", "CLIENT_KEY"]  # noqa: S104 - with a key
    with process(tmp_path, "upstream: {base_url: http://a/v1}\n", *options) as (_, url):
        local = url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - as it was said
        assert httpx2.get(local + "/metrics").status_code == 401
        assert httpx2.get(local + "/metrics", headers={"authorization": "Bearer amw_1"}).status_code == 200


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_says_where_it_listens_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, as_json: bool
) -> None:
    def serve(app: Any, listener: socket.socket, *, grace: float, ready: Any) -> None:
        ready()
        listener.close()

    monkeypatch.setattr(serving, "serve", serve)
    (tmp_path / "a.yaml").write_text("version: 1\nupstream: {base_url: http://a/v1}\n")
    host = "::1" if as_json else "127.0.0.1"
    options = ["serve", "--config", str(tmp_path / "a.yaml"), "--port", "0", "--host", host]
    done = CliRunner().invoke(shell, [*options, *(["--json"] if as_json else [])])
    (line,) = done.output.splitlines()
    if as_json:
        assert json.loads(line)["url"].startswith("http://[::1]:")
        assert json.loads(line)["upstream"] == "http://a/v1"
    else:
        assert line.startswith("http://a/v1 behind http://127.0.0.1:")
        assert line.endswith("/v1")
