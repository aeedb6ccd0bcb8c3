"""Every promise on every provider class, synchronous and not: one fake server, and respx in its place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import respx

from adaptive_middleware import Middleware
from adaptive_middleware.testing.fake_openai import Server, fake_openai
from adaptive_middleware.testing.respx_httpx2 import Httpx2Mocker
from tests.worlds.subjects import OF_SDK, SUBJECTS

MOCKED = "http://fake.local/v1"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with fake_openai() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.reset()
    return running


@pytest.fixture
def mocked() -> Iterator[Any]:
    """The provider's route for chat completions, in a world without a network."""
    name = Httpx2Mocker.name if "httpx2" in OF_SDK.__name__ else "httpcore"
    with respx.mock(using=name, assert_all_called=False) as router:
        yield router.post(f"{MOCKED}/chat/completions")


@pytest.fixture(params=[f"{name}-{way}" for name in SUBJECTS for way in ("sync", "async")])
async def made(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Callable[..., Any]]:
    """`made(behaviour, middleware)` is a provider class at the fake server; `url` is another place."""
    name, _, way = request.param.rpartition("-")
    found: list[Any] = []

    def subject(behaviour: str, middleware: Middleware | None, url: str = server.url) -> Any:
        found.append(SUBJECTS[name](url, f"fake+{behaviour}", middleware, way == "async"))
        return found[-1]

    yield subject
    for one in found:
        await one.close()
