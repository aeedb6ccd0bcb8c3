"""F17 to F19, F26, F32: clients that leave, samples that are cancelled all day, an order to stop, and connections that only wait."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path as FilePath
from typing import Any

import httpx2
import pytest

from adaptive_middleware.budget.caps import Cap, Subject, account
from adaptive_middleware.budget.ledger import Ledger
from adaptive_middleware.budget.sqlite import SqliteStore
from adaptive_middleware.proxy.app import Limits
from adaptive_middleware.sampling.endpoint import Endpoint
from adaptive_middleware.sampling.openai_stream import AsyncOpenAIStream
from adaptive_middleware.server import serving
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.testing.fake_sse import Script, answer_script, chunk, fake_sse, whole_reply
from adaptive_middleware.types import Path, Request, StepScores
from tests.faults.conftest import descriptors
from tests.faults.world import process
from tests.proxy.site import THREE, proxied
from tests.server.threaded import eventually

pytestmark = pytest.mark.fault

USER: list[Any] = [{"role": "user", "content": "q"}]
REPLY = {"choices": [{"message": {"role": "assistant", "content": "7"}, "finish_reason": "stop"}]}


def asking(url: str, body: dict[str, Any]) -> socket.socket:
    """A connection on which `body` was sent, and nothing read yet."""
    host, port = url.removeprefix("http://").split(":")
    written = json.dumps({"model": "m", "messages": USER, **body}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    connection = socket.create_connection((host, int(port)))
    connection.sendall(head % len(written) + written)
    return connection


class Waiting:
    """A scorer of any task that waits until it is cancelled, and says so."""

    id = "waiting"
    concurrent = True
    begun = threading.Event()
    cancelled = threading.Event()

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        return [StepScores((0.5,)) for _ in paths]

    async def ascore(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        if not any(path.text for path in paths):
            return self.score(request, paths)
        Waiting.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            Waiting.cancelled.set()
        return []


def left_while_sampling(policies: Any, script: Script, *, stream: bool) -> None:
    """A client leaves a call whose answers hang: every request to the endpoint is closed within a second."""
    expected = 1 if policies is None else 3
    with fake_sse({"m": [*script, threading.Event()]}) as upstream, proxied(upstream.url, policies) as url:
        with asking(url, {"stream": stream}):
            eventually(lambda: len(upstream.asked) == expected)
        left = time.monotonic()
        eventually(lambda: upstream.open == 0)
        assert time.monotonic() - left < 1.0
        assert (upstream.abandoned, len(upstream.asked)) == (expected, expected)
        assert httpx2.get(f"{url}/health").status_code == 200


def left_while_scoring(*, stream: bool) -> None:
    """A client leaves a call that waits for its scores: the score is cancelled within a second."""
    Waiting.begun.clear()
    Waiting.cancelled.clear()
    prm = {"kind": "python", "target": "tests.faults.test_clients:Waiting"}
    with fake_openai() as upstream, proxied(upstream.url, {"default": THREE}, prm=prm) as url:
        with asking(url, {"stream": stream}):
            assert Waiting.begun.wait(20)
        assert Waiting.cancelled.wait(1.0)


policies = pytest.mark.parametrize("policies", [None, {"default": THREE}], ids=["passed on", "best of three"])


@policies
def test_f17_a_client_that_leaves_a_stream_ends_its_upstream_requests(policies: Any) -> None:
    left_while_sampling(policies, [chunk("One")], stream=True)


def test_f17_a_client_that_leaves_a_stream_ends_the_scoring() -> None:
    left_while_scoring(stream=True)


@policies
def test_f18_a_client_that_leaves_a_whole_answer_ends_its_upstream_requests(policies: Any) -> None:
    left_while_sampling(policies, [whole_reply(REPLY)[:40]], stream=False)


def test_f18_a_client_that_leaves_a_whole_answer_ends_the_scoring() -> None:
    left_while_scoring(stream=False)


def settled_after_leaving(folder: FilePath, *, stream: bool) -> tuple[int, int]:
    """What is settled and held after the client of a call with three open answers left."""
    file = folder / "budget.db"
    budget: dict[str, Any] = {
        "budgets": [{"amount": {"tokens": 100_000}}],
        "budget": {"store": {"kind": "sqlite", "path": str(file)}},
    }
    script: Script = (
        [chunk("One"), threading.Event()] if stream else [whole_reply(REPLY)[:40], threading.Event()]
    )
    with fake_sse({"m": script}) as upstream, proxied(upstream.url, {"default": THREE}, **budget) as url:
        with asking(url, {"stream": stream, "max_tokens": 50}):
            eventually(lambda: len(upstream.asked) == 3)
        eventually(lambda: upstream.open == 0)
        ledger = Ledger((Cap("tokens", 100_000),), SqliteStore(file))
        now = account(ledger.caps[0], Subject("any"), time.time()).key
        eventually(lambda: ledger.balances([now])[0].held == 0)
        return ledger.balances([now])[0].settled, upstream.abandoned


def test_f17_what_is_known_to_be_spent_is_settled_and_not_zero(tmp_path: FilePath) -> None:
    settled, abandoned = settled_after_leaving(tmp_path, stream=True)
    assert 3 <= settled < 300
    assert abandoned == 3


def test_f18_what_is_known_to_be_spent_is_settled_and_not_zero(tmp_path: FilePath) -> None:
    settled, abandoned = settled_after_leaving(tmp_path, stream=False)
    assert 3 <= settled < 300
    assert abandoned == 3


async def test_f19_ten_thousand_cancelled_samples_leave_the_connections_whole() -> None:
    """The loop that leaves httpx 0.28's pool without a connection for ever; ours takes httpx2 for this reason."""
    held: Script = [chunk("One"), threading.Event()]
    with fake_sse({"slow": held, "good": answer_script(["7"])}) as upstream:
        slow = AsyncOpenAIStream(Endpoint(upstream.url, "slow"))
        good = AsyncOpenAIStream(Endpoint(upstream.url, "good"), client=slow.client)

        async def read(source: AsyncOpenAIStream) -> str:
            return "".join([piece.text async for piece in source(Request("q"))])

        async with slow.client:
            assert await read(good) == "7"
            before = descriptors(), len(asyncio.all_tasks())
            for turn in range(200):
                tasks = [asyncio.ensure_future(read(slow)) for _ in range(50)]
                await asyncio.sleep(0.02 if turn % 10 == 0 else 0)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                assert all(task.cancelled() for task in tasks)
            answers = await asyncio.gather(*(read(good) for _ in range(12)))
            assert answers == ["7"] * 12
            await asyncio.to_thread(eventually, lambda: upstream.open == 0)
            assert len(asyncio.all_tasks()) <= before[1]
            assert descriptors() <= before[0] + 2


def test_f26_sigterm_in_mid_stream_says_farewell_and_ends_with_success(tmp_path: FilePath) -> None:
    with fake_sse({"m": [chunk("One"), threading.Event()]}) as upstream:
        config = f"version: 1\nupstream: {{base_url: '{upstream.url}'}}\n"
        with process(tmp_path, "serve", config, "--grace", "1") as (server, url):
            with asking(url, {"stream": True}) as connection:
                eventually(lambda: len(upstream.asked) == 1)
                assert connection.recv(10)
                server.send_signal(signal.SIGTERM)
                read = b"".join(iter(lambda: connection.recv(65536), b""))
            assert b'"error"' in read
            assert b"data: [DONE]" in read
            assert server.wait(20) == 0
        eventually(lambda: upstream.open == 0)


def test_f26_a_second_sigterm_ends_at_once(tmp_path: FilePath) -> None:
    with fake_sse({"m": [chunk("One"), threading.Event()]}) as upstream:
        config = f"version: 1\nupstream: {{base_url: '{upstream.url}'}}\n"
        with (
            process(tmp_path, "serve", config, "--grace", "3600") as (server, url),
            asking(url, {"stream": True}) as connection,
        ):
            eventually(lambda: len(upstream.asked) == 1)
            assert connection.recv(10)
            server.send_signal(signal.SIGTERM)
            eventually(lambda: not listens(url))
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) == 0


def listens(url: str) -> bool:
    with suppress(httpx2.TransportError):
        return httpx2.get(url + "/health").is_success
    return False


def test_f32_connections_that_only_wait_are_closed_and_others_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "_HEADER_SECONDS", 0.5)
    with proxied("http://127.0.0.1:9/v1") as url, ExitStack() as stack:
        host, port = url.removeprefix("http://").split(":")
        halves = [b"", b"POST /v1/chat/completions HT", b"GET / HTTP/1.1\r\nHost: loc"]
        idle = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(300)]
        for number, connection in enumerate(idle):
            connection.sendall(halves[number % 3])
        assert httpx2.get(f"{url}/health").status_code == 200
        for connection in idle:
            connection.settimeout(20)
            assert not connection.recv(1000).startswith(b"HTTP/1.1 200")


def test_f32_a_body_that_is_too_large_or_too_slow_is_refused() -> None:
    limits = Limits(body_bytes=1000, body_seconds=0.3)
    with proxied("http://127.0.0.1:9/v1", limits=limits) as url:
        large = httpx2.post(f"{url}/v1/chat/completions", content=b" " * 2000)
        assert large.status_code == 413
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"
            )
            slow.settimeout(20)
            assert slow.recv(1000).startswith(b"HTTP/1.1 408")
