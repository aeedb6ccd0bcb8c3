"""The adapters that the contract is asked of, by name; those of a framework that is not installed are skipped."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest

from adaptive_middleware.testing.contract import Adapter, Client, Json
from tests.contract import page, sdk

PAGE = page.module()


def of(module: str, name: str) -> Adapter:
    """An adapter of a module that needs its framework."""

    def adapter(url: str, config: Json | None) -> AbstractContextManager[Client]:
        found: Any = pytest.importorskip(f"tests.contract.{module}")
        return vars(found)[name](url, config)  # type: ignore[no-any-return]

    return adapter


ADAPTERS: dict[str, Adapter] = {
    "langchain-model": of("lang", "chat_model"),
    "langchain-agent": of("lang", "agent"),
    "llama-index": of("llama", "adaptive_llm"),
    "llama-index-openai": of("llama_openai", "adaptive_openai_like"),
    "transport-httpx2": sdk.through_httpx2,
    "transport-httpx": sdk.through_httpx,
    "proxy": sdk.through_the_proxy,
    "custom.md": PAGE.adapter,
}
