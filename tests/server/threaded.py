"""An application on the loopback interface, in a thread of its own, with the real limits; needs no torch."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.types import ASGIApp

from adaptive_middleware.server.serving import configured, listening


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """The address of a server that has stopped when the block is left."""
    listener = listening("127.0.0.1", 0, keyed=False)
    server = configured(app, 1)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def eventually(true: Any) -> None:
    """Wait until `true()`; the test's own timeout is the limit."""
    while not true():
        time.sleep(0.005)
