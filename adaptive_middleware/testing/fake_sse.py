r"""A server of streams that does exactly what a script says, byte by byte: good answers, and every way to fail.

    with fake_sse({"good": answer_script(["one", "\n\n", "two"]), "rst": [b"data: {", RESET]}) as server:
        source = OpenAIStream(Endpoint(server.url, "rst"))

The name of the model chooses the script. Standard library only, so that it can send what no server would.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

RESET: Final = "reset"
"""The connection is reset (TCP RST)."""
CUT: Final = "cut"
"""The connection is closed in the middle of the body."""

Item: TypeAlias = bytes | float | str | threading.Event
"""Bytes to send as they are, seconds to wait, an event to wait for, `RESET` or `CUT`."""
Script: TypeAlias = Sequence[Item]
"""What is sent; with a first item that begins with `HTTP/` the head of the reply, too."""

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"


def event(data: object) -> bytes:
    """One event with JSON data."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def chunk(text: str, reason: str | None = None) -> bytes:
    """One event of a chat completion that adds `text`."""
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]})


def answer_script(
    pieces: Sequence[str], *, reason: str = "stop", prompt: int = 5, pause: float = 0.0, counted: bool = True
) -> list[Item]:
    """A whole answer in `pieces`, a token each, with `pause` seconds before each but the first, and its usage."""
    script: list[Item] = []
    for piece in pieces:
        script += [pause, chunk(piece)] if script and pause else [chunk(piece)]
    script.append(chunk("", reason))
    usage = {"prompt_tokens": prompt, "completion_tokens": len(pieces), "total_tokens": prompt + len(pieces)}
    return [*script, *([event({"choices": [], "usage": usage})] if counted else []), b"data: [DONE]\n\n"]


def whole_reply(body: object, *, status: int = 200, kind: str = "application/json", **headers: str) -> bytes:
    """A reply in one piece, head and all; `body` is JSON unless it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"content-type": kind, "content-length": str(len(content)), "connection": "close"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} OK\r\n{lines}\r\n".encode() + content


@dataclass(slots=True)
class StreamServer:
    """A running server and what it has seen: bodies `asked`, `open` answers now, the most at once, and those whose client left.

    A script may be a function of the request's body; it is found by the body's `model`, or else by the path.
    `paths` are the addresses that were asked, `heads` and `written` the requests as they were sent.
    """

    url: str
    scripts: Mapping[str, Script | Callable[[Mapping[str, Any]], Script]]
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    open: int = 0
    peak: int = 0
    abandoned: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection: one request, one script."""
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                body = await self._read(reader)
                found = self.scripts.get(str(body.get("model"))) or self.scripts[self.paths[-1]]
                script = found(body) if callable(found) else found
                if await self._left(script, reader, writer):
                    self.abandoned += 1
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self.open -= 1

    async def _read(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.partition(":") for line in head.lower().split("\r\n")[1:]]
        length = next((int(value) for name, _, value in lines if name == "content-length"), 0)
        written = await reader.readexactly(length)
        body: dict[str, Any] = json.loads(written or b"{}")
        self.heads.append(head)
        self.written.append(written)
        self.asked.append(body)
        self.paths.append(head.split(" ", 2)[1])
        self.requests[str(body.get("model"))] += 1
        return body

    async def _left(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Play the script; whether the client left before its last bytes were sent."""
        first = script[0] if script else b""
        raw = isinstance(first, bytes) and first.startswith(b"HTTP/")
        writer.write(b"" if raw else _HEAD)
        gone = asyncio.ensure_future(reader.read(1))
        try:
            for left, item in zip(range(len(script) - 1, -1, -1), script, strict=True):
                if isinstance(item, str):
                    _broken(item, writer)
                    return False
                await _played(item, raw, gone, writer)
                if gone.done() and (left or not isinstance(item, bytes)):
                    return True
        except ConnectionError:
            return True
        else:
            writer.write(b"" if raw else b"0\r\n\r\n")
            await writer.drain()
            return False
        finally:
            gone.cancel()
            await asyncio.wait({gone})
            _ = gone.cancelled() or gone.exception()


async def _played(
    item: bytes | float | threading.Event,
    raw: bool,
    gone: asyncio.Future[bytes],
    writer: asyncio.StreamWriter,
) -> None:
    if isinstance(item, bytes):
        writer.write(item if raw else b"%x\r\n%b\r\n" % (len(item), item))
        await writer.drain()
    await asyncio.wait({gone}, timeout=item if isinstance(item, float) else 0)
    while isinstance(item, threading.Event) and not (item.is_set() or gone.done()):
        await asyncio.wait({gone}, timeout=0.002)


def _broken(how: str, writer: asyncio.StreamWriter) -> None:
    if how == RESET:
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


@contextmanager
def fake_sse(
    scripts: Mapping[str, Script | Callable[[Mapping[str, Any]], Script]],
) -> Iterator[StreamServer]:
    """A server in a thread of its own, on a free port of the loopback interface."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio leaves it out here
    server = StreamServer(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", scripts)
    loop = asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()
    work = _serve(server, listener, stop, ready)
    thread = threading.Thread(target=loop.run_until_complete, args=(work,), name="fake-sse", daemon=True)
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
        listener.close()


async def _serve(
    server: StreamServer, listener: socket.socket, stop: asyncio.Event, ready: threading.Event
) -> None:
    running = await asyncio.start_server(server.handle, sock=listener)
    ready.set()
    await stop.wait()
    running.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
