"""`doctor` asks every server once, judges what it answers, and never shows a key."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.doctor.asking import POLICIES, examined


@contextmanager
def answering(status: int, date: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything with one status; what it was asked, with the key that came."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('authorization')}")
            self.send_response_only(status)
            if date is not None:
                self.send_header("date", date)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "key_env", "expected"),
    [
        (401, "", ("ok", "wants a key: that of the clients is sent on")),
        (401, ", key_env: DOCTOR_KEY", ("fail", "refuses the key (401)")),
        (403, ", key_env: DOCTOR_KEY", ("fail", "refuses the key (403)")),
        (404, "", ("warn", "is not there (404)")),
        (503, "", ("warn", "answers with status 503")),
        (200, ", key_env: DOCTOR_KEY", ("ok", "answers in")),
    ],
)
def test_the_upstream_is_judged_by_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, key_env: str, expected: tuple[str, str]
) -> None:
    monkeypatch.setenv("DOCTOR_KEY", "s3cret-of-the-test")
    with answering(status) as (url, asked):
        _, found = examined(tmp_path, f"upstream: {{base_url: '{url}/v1'{key_env}}}\n{POLICIES}")
    assert asked == [f"/v1/models {'Bearer s3cret-of-the-test' if key_env else None}"]
    assert found["upstream"][0]["status"] == expected[0]
    assert expected[1] in found["upstream"][0]["what"]
    assert "s3cret" not in json.dumps(found)


def test_an_upstream_that_is_not_there_fails(tmp_path: Path) -> None:
    with answering(200) as (url, _):
        pass
    status, found = examined(tmp_path, f"upstream: {{base_url: '{url}/v1'}}\n{POLICIES}")
    assert (status, found["upstream"][0]["status"]) == (1, "fail")
    assert "ConnectError" in found["upstream"][0]["what"]


@pytest.mark.parametrize(
    ("date", "said"),
    [("Thu, 01 Jan 2026 00:00:00 GMT", "ahead of the upstream"), ("no date", None), (None, None)],
)
def test_the_upstreams_clock_is_compared_where_it_tells_one(
    tmp_path: Path, date: str | None, said: str | None
) -> None:
    with answering(200, date) as (url, _):
        _, found = examined(tmp_path, f"upstream: {{base_url: '{url}/v1'}}\n{POLICIES}")
    assert len(found["clock"]) == (1 if said is None else 2)
    assert said is None or said in found["clock"][1]["what"]


def test_every_server_of_the_process_reward_model_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCTOR_KEY", "k")
    with answering(200) as (gone, _):
        pass
    with answering(200) as (well, asked), answering(500) as (ill, _):
        pooling = f"prm: {{kind: pooling, urls: ['{well}', '{ill}', '{gone}'], model: m, tokenizer: nowhere, key_env: DOCTOR_KEY}}\n"
        status, found = examined(tmp_path, pooling + POLICIES)
    assert asked == ["/health Bearer k"]
    assert [each["status"] for each in found["prm server"]] == ["ok", "warn", "fail"]
    assert (status, found["prm"][0]["status"], found["keys"][0]["what"]) == (1, "fail", "DOCTOR_KEY is set")


@pytest.mark.parametrize(
    ("value", "status"), [("", "fail"), ("  ", "fail"), ("key\n", "warn"), ("key", "ok")]
)
def test_keys_are_looked_for_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, status: str
) -> None:
    monkeypatch.setenv("DOCTOR_KEY", value)
    with answering(200) as (url, _):
        _, found = examined(tmp_path, f"upstream: {{base_url: '{url}/v1', key_env: DOCTOR_KEY}}\n{POLICIES}")
    assert found["keys"][0]["status"] == status


def test_without_httpx2_servers_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    status, found = examined(tmp_path, f"upstream: {{base_url: 'http://127.0.0.1:9/v1'}}\n{POLICIES}")
    assert (status, "cannot be asked without httpx2" in found["upstream"][0]["what"]) == (1, True)
