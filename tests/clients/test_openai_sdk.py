"""The OpenAI SDK, 2 or 3, against the proxy: calls, streams and a tool loop, with only the base URL changed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from openai import AsyncOpenAI, OpenAI

from tests.clients.site import ADD, MODEL, QUESTION, SUM, TOLD, Site, Told, add, the_site

__all__ = ["the_site"]

USER: list[Any] = [{"role": "user", "content": QUESTION}]


def turns_after(message: Any) -> list[Any]:
    """The conversation with the model's call of the tool, and what the tool said."""
    (call,) = message.tool_calls
    value = add(**json.loads(call.function.arguments))
    return [*USER, message, {"role": "tool", "tool_call_id": call.id, "content": str(value)}]


def text_of(chunks: list[Any]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def test_calls_streams_and_a_tool_loop(site: Site) -> None:
    def script(base_url: str) -> Told:
        with OpenAI(base_url=base_url, api_key="k") as client:
            completions = client.chat.completions
            plain = completions.create(model=MODEL, messages=USER)
            chunks = list(
                completions.create(
                    model=MODEL, messages=USER, stream=True, stream_options={"include_usage": True}
                )
            )
            first = completions.create(model=MODEL, messages=USER, tools=[ADD])
            last = completions.create(
                model=MODEL, messages=turns_after(first.choices[0].message), tools=[ADD]
            )
        charged = [whole.usage for whole in (plain, chunks[-1], first, last)]
        answers = [plain.choices[0].message.content, text_of(chunks), last.choices[0].message.content]
        return Told(answers, sum(usage.total_tokens for usage in charged if usage is not None))

    assert site.same(script).answers == [SUM, SUM, TOLD]


def test_the_same_on_an_event_loop(site: Site) -> None:
    async def conversation(base_url: str) -> Told:
        async with AsyncOpenAI(base_url=base_url, api_key="k") as client:
            completions = client.chat.completions
            plain = await completions.create(model=MODEL, messages=USER)
            stream: Any = await completions.create(model=MODEL, messages=USER, stream=True)
            chunks = [chunk async for chunk in stream]
            first = await completions.create(model=MODEL, messages=USER, tools=[ADD])
            turns = turns_after(first.choices[0].message)
            last = await completions.create(model=MODEL, messages=turns, tools=[ADD])
        return Told([plain.choices[0].message.content, text_of(chunks), last.choices[0].message.content])

    assert site.same(lambda base_url: asyncio.run(conversation(base_url))).answers == [SUM, SUM, TOLD]
