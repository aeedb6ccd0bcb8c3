"""Every adapter of this project keeps every promise of the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adaptive_middleware.testing.contract import PROMISES, Adapter, Promise
from adaptive_middleware.testing.fake_openai import Server, fake_openai
from tests.contract import lang, llama, page, sdk

PAGE = page.module()
ADAPTERS: dict[str, Adapter] = {
    "langchain-model": lang.chat_model,
    "langchain-agent": lang.agent,
    "llama-index": llama.adaptive_llm,
    "transport-httpx2": sdk.through_httpx2,
    "transport-httpx": sdk.through_httpx,
    "proxy": sdk.through_the_proxy,
    "custom.md": PAGE.adapter,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with fake_openai() as running:
        yield running


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
def test_the_adapter_keeps_the_promise(adapter: Adapter, promise: Promise, server: Server) -> None:
    server.reset()
    promise(adapter, server)


def test_the_lines_of_the_page_run_the_suite() -> None:
    for promise in PROMISES[:2]:
        PAGE.test_the_adapter_keeps(promise)
