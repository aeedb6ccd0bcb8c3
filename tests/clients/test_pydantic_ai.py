"""pydantic-ai against the proxy: runs, streams and a tool, with only the base URL changed."""

from __future__ import annotations

import asyncio

import pytest

from tests.clients.site import MODEL, QUESTION, SUM, TOLD, Site, Told, add, the_site

__all__ = ["the_site"]

pydantic_ai = pytest.importorskip("pydantic_ai", reason="pydantic-ai is not installed: make test-clients")


def test_runs_streams_and_a_tool(site: Site) -> None:
    from pydantic_ai.models.openai import OpenAIChatModel  # noqa: PLC0415 - as what it needs
    from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415

    async def conversation(base_url: str) -> Told:
        model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=base_url, api_key="k"))
        agent = pydantic_ai.Agent(model)
        plain = await agent.run(QUESTION)
        async with agent.run_stream(QUESTION) as stream:
            pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
        whole = await pydantic_ai.Agent(model, tools=[add]).run(QUESTION)
        total = sum(run.usage.input_tokens + run.usage.output_tokens for run in (plain, stream, whole))
        return Told([plain.output, "".join(pieces), whole.output], total)

    assert site.same(lambda base_url: asyncio.run(conversation(base_url))).answers == [SUM, SUM, TOLD]
