"""Every adapter of this project keeps every promise of the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adaptive_middleware.testing.contract import PROMISES, Adapter, Promise
from adaptive_middleware.testing.contract.conversations import conversations_pass_on_byte_for_byte
from adaptive_middleware.testing.fake_openai import Server, fake_openai
from tests.contract.adapters import ADAPTERS, PAGE


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


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
def test_two_hundred_conversations_with_tools_pass_on_byte_for_byte(adapter: Adapter, server: Server) -> None:
    conversations_pass_on_byte_for_byte(adapter, server)
