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
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from adaptive_middleware.budget.caps import Cap
from adaptive_middleware.budget.look import SqliteLook
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.budget.store import Ask, Line, Settlement
from adaptive_middleware.cli import app
from adaptive_middleware.trace.reading import one
from adaptive_middleware.view.app import WATCHERS, View, application
from adaptive_middleware.view.spend import Budgets
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


async def test_the_stream_says_when_a_budget_moved(store: Path, tmp_path: Path) -> None:
    budget = SqliteStore(tmp_path / "budget.db")
    changes = View(store, 0.001, _budgets(tmp_path / "budget.db"))._changes()
    assert await anext(changes) == "retry: 2000\n\n"
    assert await anext(changes) == ": \n\n"
    day = f"tokens:all=:day={time.strftime('%Y-%m-%d', time.gmtime())}"
    budget.reserve(Ask(("call.0",), (Line(day, 9, 1, 0, 4e9),), 600.0))
    budget.close()
    assert await anext(changes) == "event: changed\ndata: \n\n"
    await changes.aclose()  # type: ignore[attr-defined]


def test_the_page_shows_what_is_spent_and_reserved_at_this_moment(store: Path, tmp_path: Path) -> None:
    budget = SqliteStore(tmp_path / "budget.db")
    day = f"tokens:all=:day={time.strftime('%Y-%m-%d', time.gmtime())}"
    with running(application(store, budgets=_budgets(tmp_path / "budget.db"))) as url:
        assert "Nothing is counted in this day." in httpx2.get(url).text
        budget.reserve(Ask(("call.0",), (Line(day, 9, 3, 0, 4e9),), 600.0))
        assert "0 spent, 3 reserved, 6 left" in httpx2.get(url).text
        budget.settle([Settlement("call.0", (2,))])
        assert "2 spent, 0 reserved, 7 left" in httpx2.get(url).text
    budget.close()


def _budgets(file: Path) -> Budgets:
    return Budgets((Cap("tokens", 9),), SqliteLook(file), "Counted in a file.")


def test_filters_are_taken_from_the_address(site: str) -> None:
    assert "Calls with model <b>small</b>: 1." in httpx2.get(f"{site}/?model=small").text
    assert "No call that the filters let through." in httpx2.get(f"{site}/?model=none").text


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


def test_the_command_takes_store_and_budgets_from_a_configuration(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "adaptive.yaml"
    config.write_text(
        f"version: 1\ntrace: {{path: {store.name}}}\nbudgets: [{{amount: {{usd: 5}}}}]\n", encoding="utf-8"
    )
    shown: list[str] = []

    def serve(served: Any, listener: socket.socket, **_: object) -> None:
        listener.close()
        with running(served) as url:
            shown.append(httpx2.get(url).text)

    monkeypatch.setattr("adaptive_middleware.server.serving.serve", serve)
    monkeypatch.delenv("ADAPTIVE_MIDDLEWARE_STORE", raising=False)
    assert CliRunner().invoke(app, ["view", "--config", str(config), "--port", "0"]).exit_code == 0
    assert str(store) in shown[0]
    assert "$5.00 per day" in shown[0]
    assert "no other process can see" in shown[0]


def test_the_command_refuses_a_store_that_is_not_there(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["view", "--store", str(tmp_path / "none.db")])
    assert done.exit_code == 1
