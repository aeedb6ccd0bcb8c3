"""Clients that know nothing of the proxy: only their base URL is changed."""

from __future__ import annotations

import asyncio
import json
import operator
from collections.abc import Iterator
from functools import reduce
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from adaptive_middleware.testing.fake_openai import Server, fake_openai
from tests.proxy.site import THREE, proxied

USER: list[Any] = [{"role": "user", "content": "What is 3 + 4?"}]


@pytest.fixture(scope="module")
def fake() -> Iterator[Server]:
    with fake_openai() as server:
        yield server


@pytest.fixture(scope="module")
def site(fake: Server) -> Iterator[str]:
    with proxied(fake.url, {"default": THREE}) as url:
        yield url


async def test_many_asynchronous_calls_at_once_each_get_their_own_answer(site: str, fake: Server) -> None:
    fake.reset()
    async with (
        httpx2.AsyncClient() as http,
        AsyncOpenAI(base_url=f"{site}/v1", api_key="k", http_client=http, max_retries=0) as client,
    ):

        async def asked(k: int) -> str:
            question: list[Any] = [{"role": "user", "content": f"What is {k} + 4?"}]
            reply = await client.chat.completions.create(model="m+arithmetic", messages=question)
            return str(reply.choices[0].message.content)

        answers = await asyncio.gather(*(asked(k) for k in range(20)))
    assert answers == [f"{k} + 4 = {k + 4}\nThe answer is {k + 4}." for k in range(20)]
    assert len(fake.calls) == 60


def test_langchain_runs_a_tool_loop_whole_and_streamed(site: str, fake: Server) -> None:
    openai = pytest.importorskip("langchain_openai")
    messages = pytest.importorskip("langchain_core.messages")

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    with httpx2.Client() as http:
        model = openai.ChatOpenAI(
            base_url=f"{site}/v1", api_key="k", model="m", http_client=http, max_retries=0, stream_usage=True
        ).bind_tools([add])
        for streamed in (False, True):

            def said(turns: list[Any], streamed: bool = streamed) -> Any:
                return reduce(operator.add, model.stream(turns)) if streamed else model.invoke(turns)

            fake.reset()
            question = messages.HumanMessage("What is 3 + 4?")
            first = said([question])
            (call,) = first.tool_calls
            assert (call["name"], call["args"]) == ("add", {"a": 3, "b": 4})
            last = said([question, first, messages.ToolMessage("7", tool_call_id=call["id"])])
            assert last.text == "The tool says 7."
            words = sum(len(json.dumps(body["messages"]).split()) for body in fake.calls[3:])
            assert (len(fake.calls), last.usage_metadata["input_tokens"]) == (6, words)


def test_a_structured_answer_is_one(site: str) -> None:
    openai = pytest.importorskip("langchain_openai")
    schema = {"title": "Sum", "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    with httpx2.Client() as http:
        model = openai.ChatOpenAI(
            base_url=f"{site}/v1", api_key="k", model="m", http_client=http, max_retries=0
        )
        assert model.with_structured_output(schema, method="json_schema").invoke("What is f(3)?") == {"a": 3}


def test_langchain_runs_a_tool_loop_of_responses_whole_and_streamed(site: str, fake: Server) -> None:
    openai = pytest.importorskip("langchain_openai")
    messages = pytest.importorskip("langchain_core.messages")

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    with httpx2.Client() as http:
        model = openai.ChatOpenAI(
            base_url=f"{site}/v1",
            api_key="k",
            model="m+reasoning",
            http_client=http,
            max_retries=0,
            use_responses_api=True,
        ).bind_tools([add])
        for streamed in (False, True):

            def said(turns: list[Any], streamed: bool = streamed) -> Any:
                return reduce(operator.add, model.stream(turns)) if streamed else model.invoke(turns)

            fake.reset()
            question = messages.HumanMessage("What is 3 + 4?")
            first = said([question])
            (call,) = first.tool_calls
            assert (call["name"], call["args"]) == ("add", {"a": 3, "b": 4})
            last = said([question, first, messages.ToolMessage("7", tool_call_id=call["id"])])
            assert last.text == "The tool says 7."
            assert (len(fake.calls), last.usage_metadata["output_token_details"]["reasoning"]) == (6, 6)
            assert all("input" in body for body in fake.calls)
