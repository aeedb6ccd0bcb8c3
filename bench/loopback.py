"""Servers of a benchmark in processes of their own, so that they do not share an interpreter with the client."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from starlette.types import ASGIApp

from adaptive_middleware.testing.fake_openai import fake_openai

CLI = "from adaptive_middleware.cli import main; main()"


@contextmanager
def upstream_process() -> Iterator[str]:
    """The base URL of a fake OpenAI server; it ends when the block is left, or when this process does."""
    with _speaking(["-m", "bench.loopback"]) as line:
        yield line


@contextmanager
def proxy_process(upstream: str, policies: dict[str, object], *, use_n: bool = False) -> Iterator[str]:
    """The base URL of `adaptive-middleware serve` before `upstream`."""
    config = {"version": 1, "upstream": {"base_url": upstream, "use_n": use_n}, "policies": policies}
    with TemporaryDirectory() as folder:
        written = Path(folder, "adaptive.yaml")
        written.write_text(json.dumps(config), encoding="utf-8")
        serve = ["-c", CLI, "serve", "--config", str(written), "--port", "0", "--json"]
        with _speaking(serve) as line:
            yield json.loads(line)["url"] + "/v1"


@contextmanager
def in_a_thread(app: ASGIApp) -> Iterator[str]:
    """The address of an application that is served by a thread of this process until the block is left."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def _speaking(arguments: list[str]) -> Iterator[str]:
    """A Python process, and the first line that it says."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line:
                message = f"{arguments} ended before it served"
                raise RuntimeError(message)
            yield line
        finally:
            process.terminate()


def main() -> None:
    """Serve until standard input ends."""
    with fake_openai() as server, suppress(KeyboardInterrupt):
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
