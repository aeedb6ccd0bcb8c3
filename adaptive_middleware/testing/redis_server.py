"""A real `redis-server` on a free port of this machine's loopback address, for tests and benchmarks."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def redis_server(seconds: float = 10.0) -> Iterator[str]:
    """The address of a server that keeps nothing on disk; it ends with the block.

    Raises `FileNotFoundError` where `redis-server` is not installed, `TimeoutError` when it does not answer.
    """
    program = shutil.which("redis-server")
    if program is None:
        message = "redis-server is not installed: apt-get install redis-server"
        raise FileNotFoundError(message)
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        options = [
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            folder,
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
        try:
            _answers(port, seconds)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()
            server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0) as asked:
            asked.sendall(b"PING\r\n")
            if asked.recv(16).startswith(b"+PONG"):
                return
        time.sleep(0.02)
    message = f"redis-server did not answer on port {port} within {seconds:g} s"
    raise TimeoutError(message)
