"""The application: pages under a strict policy, a stream that says when the store changed, and only for this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from adaptive_middleware.cli import app
from adaptive_middleware.trace.reading import one
from adaptive_middleware.view.app import WATCHERS, View, application
from tests.server.threaded import running
from tests.trace.made import asked


@pytest.fixture
def store(tmp_path: Path) -> Path:
    asked(tmp_path / "traces.db")
    return tmp_path / "traces.db"


@pytest.fixture
def site(store: Path) -> Iterator[str]:
    with running(application(store, seconds=0.01)) as url:
        yield url


def test_every_answer_forbids_all_but_its_own_style_script_and_stream(site: str, store: Path) -> None:
    for path in ("/", f"/calls/{one(store, 'last').id}", "/calls/none", "/view.css", "/view.js"):
        reply = httpx2.get(site + path)
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"


def test_pages_ask_for_nothing_of_other_machines(site: str, store: Path) -> None:
    for path in ("/", f"/calls/{one(store, 'last').id}", "/view.css", "/view.js"):
        found = httpx2.get(site + path)
        assert found.status_code == 200
        assert not re.search(r"(https?:)?//[a-z]", found.text.replace("// The", ""))


def test_an_unknown_call_is_a_page_of_its_own(site: str) -> None:
    reply = httpx2.get(f"{site}/calls/%3Cscript%3E")
    assert reply.status_code == 404
    assert "<script>" not in reply.text.replace('<script src="/view.js" defer>', "")


def test_a_store_that_is_gone_is_said_on_the_page(site: str, store: Path) -> None:
    store.unlink()
    reply = httpx2.get(f"{site}/")
    assert (reply.status_code, "no trace store there" in reply.text) == (503, True)


def test_other_hosts_and_other_pages_are_refused(site: str) -> None:
    assert httpx2.get(f"{site}/", headers={"host": "evil.example"}).status_code == 403
    assert httpx2.get(f"{site}/", headers={"origin": "http://evil.example"}).status_code == 403


def test_a_key_can_be_asked_for(store: Path) -> None:
    with running(application(store, key="k")) as url:
        assert httpx2.get(f"{url}/").status_code == 401
        assert httpx2.get(f"{url}/", headers={"authorization": "Bearer k"}).status_code == 200


def test_the_stream_says_when_a_call_was_kept(site: str, store: Path) -> None:
    seen: list[str] = []
    begun, changed = threading.Event(), threading.Event()

    def listen() -> None:
        with httpx2.stream("GET", f"{site}/events") as reply:
            for part in reply.iter_lines():
                seen.append(part)
                begun.set()
                if part == "event: changed":
                    changed.set()
                    return

    thread = threading.Thread(target=listen)
    thread.start()
    assert begun.wait(10)
    assert not changed.is_set()
    asked(store)
    assert changed.wait(10)
    thread.join()
    assert seen[0] == "retry: 2000"


async def test_streams_are_counted_bounded_and_given_back(store: Path) -> None:
    view = View(store, 0.001)
    changes = view._changes()
    await anext(changes)
    assert view.watching == 1
    assert await anext(changes) == ": \n\n"
    await changes.aclose()  # type: ignore[attr-defined]
    assert view.watching == 0
    view.watching = WATCHERS
    assert (await view.events(None)).status_code == 503  # type: ignore[arg-type]


async def test_a_stream_of_a_store_that_is_gone_ends(tmp_path: Path) -> None:
    assert [part async for part in View(tmp_path / "none.db")._changes()] == []


def test_the_command_says_where_it_listens_and_ends_on_a_signal(store: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from adaptive_middleware.cli import main; main()",
        "view",
        "--port",
        "0",
        "--json",
    ]
    process = subprocess.Popen(
        [*command, "--store", str(store)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        assert "Calls" in httpx2.get(told["url"]).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def test_the_command_listens_on_loopback_and_tells_people_so(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    def serve(_app: object, listener: socket.socket, *, grace: float, ready: Callable[[], None]) -> None:
        heard.append(listener.getsockname()[0])
        listener.close()
        ready()

    monkeypatch.setattr("adaptive_middleware.server.serving.serve", serve)
    done = CliRunner().invoke(app, ["view", "--store", str(store), "--port", "0"])
    assert (done.exit_code, heard) == (0, ["127.0.0.1"])
    assert done.stdout.startswith(f"{store} is shown at http://127.0.0.1:")


def test_the_command_refuses_a_store_that_is_not_there(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["view", "--store", str(tmp_path / "none.db")])
    assert done.exit_code == 1
