"""What every fault case leaves behind: no descriptor, no thread and no task that was not there before."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator

import pytest

_SECONDS = 10.0
_KEPT = "adaptive-device", "adaptive-scorer", "asyncio_", "adaptive-background"


def descriptors() -> int:
    """How many files, sockets and pipes this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - no path is needed


def threads() -> int:
    """How many threads there are, without those that a scorer or an event loop keeps as long as it lives."""
    return sum(not one.name.startswith(_KEPT) for one in threading.enumerate())


@pytest.fixture(scope="session")
async def the_loop() -> None:
    """The event loop of all cases, begun before anything is counted."""


@pytest.fixture(autouse=True)
def nothing_leaks(the_loop: None) -> Iterator[None]:
    """Fails a case after which more is open than before; connections may take a moment to end."""
    gc.collect()
    before = descriptors(), threads()
    yield
    ends = time.monotonic() + _SECONDS
    while descriptors() > before[0] or threads() > before[1]:
        gc.collect()
        if time.monotonic() > ends:
            names = [one.name for one in threading.enumerate()]
            pytest.fail(
                f"(descriptors, threads) before {before}, after {(descriptors(), threads())}: {names}"
            )
        time.sleep(0.02)
