"""The OpenAI Agents SDK against the proxy: runs, streams and a tool, with only the base URL changed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.clients.site import MODEL, QUESTION, SUM, TOLD, Site, Told, add, the_site

__all__ = ["the_site"]

agents = pytest.importorskip("agents", reason="openai-agents is not installed: make test-clients")


def test_runs_streams_and_a_tool(site: Site) -> None:
    from openai import AsyncOpenAI  # noqa: PLC0415 - as what it needs

    async def conversation(base_url: str) -> Told:
        agents.set_tracing_disabled(disabled=True)
        async with AsyncOpenAI(base_url=base_url, api_key="k") as client:
            model = agents.OpenAIChatCompletionsModel(MODEL, client)
            simple = agents.Agent("simple", model=model)
            plain = await agents.Runner.run(simple, QUESTION)
            stream: Any = agents.Runner.run_streamed(simple, QUESTION)
            events = [
                event.data async for event in stream.stream_events() if event.type == "raw_response_event"
            ]
            able: Any = agents.Agent("able", model=model, tools=[agents.function_tool(add)])
            whole = await agents.Runner.run(able, QUESTION)
            live: Any = agents.Runner.run_streamed(able, QUESTION)
            _ = [event async for event in live.stream_events()]
        pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
        runs = (plain, stream, whole, live)
        total = sum(run.context_wrapper.usage.total_tokens for run in runs)
        return Told([plain.final_output, "".join(pieces), whole.final_output, live.final_output], total)

    assert site.same(lambda base_url: asyncio.run(conversation(base_url))).answers == [SUM, SUM, TOLD, TOLD]
