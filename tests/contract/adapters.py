"""The adapters that the contract is asked of, by name."""

from __future__ import annotations

from adaptive_middleware.testing.contract import Adapter
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
