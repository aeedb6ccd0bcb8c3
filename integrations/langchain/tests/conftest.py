"""One fake OpenAI server for all tests of the adapter."""

from collections.abc import Iterator

import pytest

from adaptive_middleware.testing.fake_openai import Server, fake_openai


@pytest.fixture(scope="session", autouse=True)
def running_server() -> Iterator[Server]:
    with fake_openai() as server:
        yield server


@pytest.fixture
def server(running_server: Server) -> Server:
    running_server.reset()
    return running_server
