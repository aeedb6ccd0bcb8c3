"""Who may connect and ask, how long a header may take, and how a server ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from adaptive_middleware import lab, pretrained
from adaptive_middleware.cli import app as shell
from adaptive_middleware.config import load
from adaptive_middleware.errors import CheckpointError, ConfigError, ScorerError
from adaptive_middleware.scoring.pooling_http import pooling_scorer
from adaptive_middleware.scoring.replicas import ranked
from adaptive_middleware.server import serving
from adaptive_middleware.server.app import application
from adaptive_middleware.server.model import opened
from adaptive_middleware.server.pooling import Served
from adaptive_middleware.server.serving import listening
from adaptive_middleware.types import Path as Answer
from adaptive_middleware.types import Request
from tests import tiny
from tests.server.loopback import Held, eventually, running

SERVED = Served("lab", pretrained.load_tokenizer(pretrained.find(lab.PRM)), 16, 536, 3)
KEY = "amw_0123456789"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 401),
        ([("Authorization", f"Bearer {KEY}")], 200),
        ([("Authorization", f"bearer {KEY}"), ("Host", "public.example")], 200),
        ([("Authorization", f"Bearer {KEY}x")], 401),
        ([("Authorization", f"Basic {KEY}")], 401),
        ([("Authorization", KEY)], 401),
        ([("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")], 401),
        ([("X-Api-Key", KEY)], 401),
    ],
)
def test_with_a_key_everything_but_health_needs_it(headers: list[tuple[str, str]], status: int) -> None:
    with running(application(SERVED, Held(), key=KEY)) as url:
        models = httpx2.get(url + "/v1/models?key=" + KEY, headers=headers)
        assert models.status_code == status
        assert httpx2.get(url + "/health").status_code == 200
        assert httpx2.get(url + "/metrics", headers=headers).status_code == status
    if status == 401:
        assert models.headers["www-authenticate"] == "Bearer"
        assert models.json()["error"]["type"] == "AuthenticationError"
        assert KEY not in models.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8000", 200),
        ("[::1]", 200),
        ("[::1]:8000", 200),
        ("evil.example", 403),
        ("localhost.evil.example:80", 403),
        ("", 403),
    ],
)
def test_without_a_key_only_this_machines_own_names_are_answered(host: str, status: int) -> None:
    with running(application(SERVED, Held())) as url:
        assert httpx2.get(url + "/v1/models", headers={"host": host}).status_code == status


def test_without_a_key_web_pages_are_not_answered() -> None:
    with running(application(SERVED, Held())) as url:
        assert httpx2.post(url + "/pooling", headers={"origin": "http://localhost"}).status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104 - that it is refused
def test_an_address_of_other_machines_needs_a_key(host: str) -> None:
    with pytest.raises(ConfigError, match="set a key"):
        listening(host, 0, keyed=False)


def test_with_a_key_any_address_can_be_had() -> None:
    listening("0.0.0.0", 0, keyed=True).close()  # noqa: S104 - with a key


def test_what_is_written_is_sent_at_once() -> None:
    """Nagle's algorithm would hold the body back until the client confirms the head: 40 ms a reply."""
    with listening("127.0.0.1", 0, keyed=False) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port} .*choose another port"):
            listening("127.0.0.1", port, keyed=False)


@pytest.mark.parametrize(
    ("before", "sent"), [(b"", b""), (b"", b"GET /health HT"), (b"GET /health HTTP/1.1\r\n", b"GET /h")]
)
def test_half_a_header_does_not_hold_a_connection(
    monkeypatch: pytest.MonkeyPatch, before: bytes, sent: bytes
) -> None:
    monkeypatch.setattr(serving, "_HEADER_SECONDS", 0.3)
    with running(application(SERVED, Held())) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as raw:
            if before:
                raw.sendall(before + b"Host: localhost\r\n\r\n")
                assert raw.recv(1000).startswith(b"HTTP/1.1 200")
            raw.sendall(sent)
            while raw.recv(1000):
                pass


def test_a_header_over_the_limit_is_refused() -> None:
    with running(application(SERVED, Held())) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000)
            assert raw.recv(100).startswith(b"HTTP/1.1 400")


@contextmanager
def process(folder: Path, *options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real `serve-prm` with the lab's model, and its address."""
    (folder / "a.yaml").write_text("version: 1\nprm: {kind: lab}\n")
    code = "from adaptive_middleware.cli import main; main()"
    arguments = ["serve-prm", "--config", str(folder / "a.yaml"), "--port", "0", "--json", *options]
    started = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
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
    with process(tmp_path, "--grace", "20") as (server, url):
        address = url.removeprefix("http://")
        open_request = http.client.HTTPConnection(address, timeout=60)
        body = json.dumps({"input": [[5, 6, 7]] * 3}).encode()
        open_request.putrequest("POST", "/pooling")
        open_request.putheader("Content-Length", str(len(body)))
        open_request.endheaders(body[:5])
        assert httpx2.get(url + "/health").status_code == 200  # the open one has been accepted by now
        server.send_signal(signal.SIGTERM)
        eventually(lambda: not answers(url))
        open_request.send(body[5:])
        reply = open_request.getresponse()
        assert (reply.status, json.loads(reply.read())["usage"]["prompt_tokens"]) == (200, 9)
        open_request.close()
        assert server.wait(60) == 0


def test_sigterm_waits_no_longer_than_its_grace(tmp_path: Path) -> None:
    with process(tmp_path, "--grace", "1") as (server, url):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as stuck:
            stuck.sendall(b"POST /pooling HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
            assert httpx2.get(url + "/health").status_code == 200
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0


def test_a_stopped_and_a_killed_server_are_passed_over_and_come_back(tmp_path: Path) -> None:
    """F1 and F2 of the fault list, with real processes."""
    question, paths = Request("What is 3 + 4?"), [Answer(("3 + 4 = 7\n",))]
    name = "lab/prm@023bb2dca56b"
    with process(tmp_path) as (one, first), process(tmp_path) as (other, second):
        scorer = pooling_scorer(
            [first, second], model=name, tokenizer=lab.PRM, family="qwen-math-prm", timeout=10.0
        )
        (expected,) = scorer.score(question, paths)
        preferred, spare = (
            (one, other) if ranked([first, second], question.text)[0] == first else (other, one)
        )
        preferred.send_signal(signal.SIGSTOP)
        bounded = replace(question, deadline=time.monotonic() + 4)
        assert scorer.score(bounded, paths)[0].values == pytest.approx(expected.values, abs=1e-5)
        preferred.send_signal(signal.SIGCONT)
        spare.kill()
        spare.wait()
        assert scorer.score(question, paths)[0].values == pytest.approx(expected.values, abs=1e-5)
        preferred.kill()
        preferred.wait()
        with pytest.raises(ScorerError, match="no replica scored"):
            scorer.score(question, paths)


def test_a_public_address_without_a_key_is_one_line_and_no_server(tmp_path: Path) -> None:
    with process(tmp_path, "--host", "0.0.0.0") as (server, said):  # noqa: S104 - that it is refused
        assert server.wait(60) == 1
    assert said.startswith("error: 0.0.0.0 can be reached from other machines")
    assert "Traceback" not in said


def shown(*options: str) -> tuple[Exception | None, str]:
    done = CliRunner().invoke(shell, ["serve-prm", *options])
    return (done.exception if isinstance(done.exception, Exception) else None), done.output


def test_a_key_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", " ")
    error, _ = shown("--config", "a.yaml", "--key-env", "A_KEY")
    assert isinstance(error, ConfigError)
    assert "A_KEY (--key-env) is not set" in str(error)


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_says_where_it_listens_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, as_json: bool
) -> None:
    host, key = ("::1", ["--key-env", "A_KEY"]) if as_json else ("127.0.0.1", [])
    (tmp_path / "a.yaml").write_text("version: 1\nprm: {kind: lab}\n")
    monkeypatch.setenv("A_KEY", KEY)

    def serve(app: Any, listener: socket.socket, *, grace: float, ready: Any) -> None:
        ready()
        listener.close()

    monkeypatch.setattr(serving, "serve", serve)
    options = ["--config", str(tmp_path / "a.yaml"), "--port", "0", "--host", host, *key]
    error, output = shown(*options, *(["--json"] if as_json else []))
    assert error is None
    (line,) = output.splitlines()
    if as_json:
        assert json.loads(line)["url"].startswith("http://[::1]:")
    else:
        assert line.startswith("lab/prm@023bb2dca56b listens on http://127.0.0.1:")
    assert KEY not in output


def test_serve_gives_the_signals_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    listener = listening("127.0.0.1", 0, keyed=False)
    said: list[str] = []
    stop = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))

    def ready() -> None:
        said.append("listening")
        stop.start()

    serving.serve(application(SERVED, Held()), listener, grace=1, ready=ready)
    assert said == ["listening"]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.parametrize("prm", [None, {"kind": "python", "target": "tests.config.parts:Scores"}])
def test_only_models_that_are_loaded_here_can_be_served(prm: Any) -> None:
    with pytest.raises(ConfigError, match="serve-prm loads a model itself"):
        opened(load({"version": 1} | ({} if prm is None else {"prm": prm})))


def test_a_checkpoint_is_served_under_its_name_within_its_window(tmp_path: Path) -> None:
    folder = tiny.qwen_prm(tmp_path)
    prm = {"kind": "transformers", "model": str(folder), "max_length": 100, "batch_tokens": 64}
    served, engine = opened(load({"version": 1, "prm": prm}))
    engine.close()
    assert (served.name, served.window) == (folder.name, 100)
    assert served.tokenizer.decode([served.tag]) == "<extra_0>"
    assert served.vocabulary == len(served.tokenizer)


def test_a_family_that_pooling_cannot_serve_is_refused_at_the_start(tmp_path: Path) -> None:
    prm = {"kind": "transformers", "model": str(tiny.llama_chat(tmp_path)), "family": "judge"}
    with pytest.raises(CheckpointError, match="the family 'judge'"):
        opened(load({"version": 1, "prm": prm}))
