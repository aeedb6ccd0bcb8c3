"""One fake OpenAI server for all tests of the adapter, and models that ask it."""

from collections.abc import Callable, Iterator

import pytest
from langchain_openai import ChatOpenAI

from adaptive_middleware.testing.fake_openai import Server, fake_openai


@pytest.fixture(scope="session", autouse=True)
def running_server() -> Iterator[Server]:
    with fake_openai() as server:
        yield server


@pytest.fixture
def server(running_server: Server) -> Server:
    running_server.reset()
    return running_server


@pytest.fixture
def chat(server: Server) -> Callable[..., ChatOpenAI]:
    """`chat("split", temperature=0)` is a model whose answers differ; other words are in `fake_answers`."""

    def model(behaviour: str = "constant", **fields: object) -> ChatOpenAI:
        given = {"stream_usage": True, "max_retries": 0, "api_key": "none", **fields}
        return ChatOpenAI(base_url=server.url, model=f"fake+{behaviour}", **given)

    return model
