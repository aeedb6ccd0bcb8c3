"""LangChain's `ChatOpenAI` against the proxy: calls, streams, and an agent with a tool, with only the base URL changed."""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

import openai
import pytest

from tests.clients.site import MODEL, QUESTION, SUM, TOLD, Site, Told, add, the_site

__all__ = ["the_site"]

langchain_openai = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
agents = pytest.importorskip("langchain.agents", reason="langchain is not installed")


def test_calls_streams_and_an_agent_with_a_tool(site: Site) -> None:
    def script(base_url: str) -> Told:
        with openai.DefaultHttpxClient() as http:
            model = langchain_openai.ChatOpenAI(
                base_url=base_url, api_key="k", model=MODEL, http_client=http, stream_usage=True
            )
            plain = model.invoke(QUESTION)
            streamed: Any = reduce(operator.add, model.stream(QUESTION))
            agent = agents.create_agent(model, [add])
            run = agent.invoke({"messages": [{"role": "user", "content": QUESTION}]})["messages"]
        counted = [plain, streamed, *(m for m in run if m.type == "ai")]
        total = sum(message.usage_metadata["total_tokens"] for message in counted)
        return Told([plain.text, streamed.text, [m.text for m in run if m.text]], total)

    assert site.same(script).answers == [SUM, SUM, [QUESTION, "7", TOLD]]
