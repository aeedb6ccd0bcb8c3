"""A chat middleware for Microsoft's agent-framework; a fake OpenAI server on loopback stands for the provider."""

import asyncio
import pathlib
from collections.abc import Awaitable, Callable
from json import loads

from agent_framework import Agent, ChatContext, ChatMiddleware
from agent_framework.openai import OpenAIChatCompletionClient

from adaptive_middleware import Middleware, Path, Request, Usage
from adaptive_middleware.sampling.draws import AsyncDraws
from adaptive_middleware.steps import split_steps
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.types import ToolCall

MIDDLEWARE = Middleware.from_config(pathlib.Path(__file__).with_name("adaptive.yaml"))


class Adaptive(ChatMiddleware):
    """Asks as often as the middleware says, one after the other; streams are plain calls."""

    async def process(self, context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        """Leave the winner in `context.result`, with the tokens of all samples."""
        if context.stream:
            await call_next()
            return

        async def draw(_: Request) -> Path:
            context.result = None
            await call_next()
            found = [part for message in context.result.messages for part in message.contents]
            calls = [part for part in found if part.type == "function_call"]
            tools = tuple(ToolCall(call.name, loads(call.arguments)) for call in calls)
            spent = context.result.usage_details or {}
            usage = Usage(spent.get("input_token_count", 0), spent.get("output_token_count", 0), requests=1)
            return Path(
                tuple(split_steps(context.result.text)), tool_calls=tools, usage=usage, raw=context.result
            )

        asked = Request("\n".join(message.text for message in context.messages))
        outcome = await MIDDLEWARE.arun(asked, AsyncDraws(draw, max_concurrency=1))
        print(outcome.usage.requests, "samples:", outcome.decisions[-1].because)
        context.result = outcome.chosen.raw
        context.result.usage_details = {
            "input_token_count": outcome.usage.prompt_tokens,
            "output_token_count": outcome.usage.completion_tokens,
            "total_token_count": outcome.usage.prompt_tokens + outcome.usage.completion_tokens,
        }


def legs(number: int) -> int:
    """The legs of so many spiders."""
    print("legs of", number)
    return number * 8


async def main() -> None:
    """One agent run: the model calls the tool, sees its result, and answers."""
    with fake_openai() as server:
        client = OpenAIChatCompletionClient("fake+split", base_url=server.url, api_key="none")
        agent = Agent(client, tools=[legs], middleware=[Adaptive()])
        result = await agent.run("How many legs do 3 spiders have?")
    spent = result.usage_details
    print(result.text, spent["input_token_count"], "+", spent["output_token_count"], "tokens")


if __name__ == "__main__":
    asyncio.run(main())
