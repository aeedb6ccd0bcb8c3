"""LlamaIndex's `OpenAI` against the proxy: calls, streams, and an agent with a tool, with only the base URL changed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.clients.site import MODEL, QUESTION, SUM, TOLD, Site, Told, add, the_site

__all__ = ["the_site"]

llms = pytest.importorskip(
    "llama_index.llms.openai", reason="llama-index-llms-openai is not installed: it needs openai 2"
)

pytestmark = [  # what LlamaIndex's own agents warn of
    pytest.mark.filterwarnings("ignore:The `__fields:pydantic.warnings.PydanticDeprecatedSince20:inspect"),
    pytest.mark.filterwarnings(
        "ignore:Accessing the 'model_:pydantic.warnings.PydanticDeprecatedSince211:inspect"
    ),
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Skipping serialization of known unserializable key"),
]


def test_calls_streams_and_an_agent_with_a_tool(site: Site) -> None:
    from llama_index.core.agent.workflow import FunctionAgent  # noqa: PLC0415 - as what it needs

    async def conversation(base_url: str) -> Told:
        model = llms.OpenAI(api_base=base_url, api_key="k", model=MODEL)
        plain = await model.acomplete(QUESTION)
        stream: Any = await model.astream_complete(QUESTION)
        pieces = [piece.delta async for piece in stream]
        agents = [FunctionAgent(llm=model, tools=[add], streaming=live) for live in (False, True)]
        runs = [str(await agent.run(QUESTION)) for agent in agents]
        return Told([plain.text, "".join(pieces), *runs], plain.raw.usage.total_tokens)

    assert site.same(lambda base_url: asyncio.run(conversation(base_url))).answers == [SUM, SUM, TOLD, TOLD]
