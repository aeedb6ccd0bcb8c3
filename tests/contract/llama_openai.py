"""LlamaIndex's own client of OpenAI-compatible endpoints, as a client of the contract; it needs openai 2."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from adaptive_middleware import Middleware
from adaptive_middleware.testing.contract import Json
from llama_index_adaptive import AdaptiveLLM
from tests.contract.llama import LlamaClient
from tests.contract.sdk import TLS


@contextmanager
def adaptive_openai_like(url: str, config: Json | None) -> Iterator[LlamaClient]:
    """`AdaptiveLLM` around `OpenAILike`."""
    openai_like = pytest.importorskip("llama_index.llms.openai_like")
    limits = httpx.Limits(max_keepalive_connections=0)
    http, awaited = httpx.Client(verify=TLS), httpx.AsyncClient(verify=TLS, limits=limits, timeout=60)
    inner = openai_like.OpenAILike(
        model="fake",
        api_base=url,
        api_key="k",
        is_chat_model=True,
        is_function_calling_model=True,
        max_retries=0,
        http_client=http,
        async_http_client=awaited,
    )
    yield LlamaClient(
        inner if config is None else AdaptiveLLM(llm=inner, middleware=Middleware.from_config(config))
    )
    http.close()
    asyncio.run(awaited.aclose())
