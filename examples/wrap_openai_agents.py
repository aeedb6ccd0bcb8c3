"""Wrap a model of the OpenAI Agents SDK in an agent with a tool; a fake OpenAI server on loopback stands for the provider."""

import pathlib
from dataclasses import replace
from json import loads
from typing import Any

from agents import (
    Agent,
    Model,
    ModelResponse,
    OpenAIChatCompletionsModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from agents.usage import Usage as AgentUsage
from openai import AsyncOpenAI

from adaptive_middleware import Middleware, Path, Request, Usage
from adaptive_middleware.sampling.draws import AsyncDraws
from adaptive_middleware.steps import split_steps
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.types import ToolCall

MIDDLEWARE = Middleware.from_config(pathlib.Path(__file__).with_name("adaptive.yaml"))


class Adaptive(Model):
    """The `inner` model, asked as often as the middleware says; streams are the inner model's own."""

    def __init__(self, inner: Model) -> None:
        self.inner = inner

    def stream_response(self, *asked: Any, **options: Any) -> Any:
        """The stream of one plain call."""
        return self.inner.stream_response(*asked, **options)

    def get_retry_advice(self, request: Any) -> Any:
        """What the inner model advises."""
        return self.inner.get_retry_advice(request)

    async def close(self) -> None:
        """Close the inner model."""
        await self.inner.close()

    async def get_response(self, *asked: Any, **options: Any) -> ModelResponse:
        """The winner of one call's samples, with the usage of all of them."""

        async def draw(_: Request) -> Path:
            answer = await self.inner.get_response(*asked, **options)
            found = [item for item in answer.output if item.type == "function_call"]
            calls = tuple(ToolCall(call.name, loads(call.arguments)) for call in found)
            texts = [part.text for item in answer.output if item.type == "message" for part in item.content]
            usage = Usage(answer.usage.input_tokens, answer.usage.output_tokens, requests=1)
            return Path(tuple(split_steps("".join(texts))), tool_calls=calls, usage=usage, raw=answer)

        text = str(options["input"] if "input" in options else asked[1])
        outcome = await MIDDLEWARE.arun(Request(text), AsyncDraws(draw))
        print(outcome.usage.requests, "samples:", outcome.decisions[-1].because)
        spent = outcome.usage
        usage = AgentUsage(spent.requests, spent.prompt_tokens, output_tokens=spent.completion_tokens)
        usage.total_tokens = spent.prompt_tokens + spent.completion_tokens
        winner: Any = outcome.chosen.raw
        return replace(winner, usage=usage)


@function_tool
def legs(number: int) -> int:
    """The legs of so many spiders."""
    print("legs of", number)
    return number * 8


def main() -> None:
    """One agent run: the model calls the tool, sees its result, and answers."""
    set_tracing_disabled(disabled=True)
    with fake_openai() as server:
        client = AsyncOpenAI(base_url=server.url, api_key="none")
        model = Adaptive(OpenAIChatCompletionsModel("fake+split", client))
        agent = Agent("counter", model=model, tools=[legs])
        result = Runner.run_sync(agent, "How many legs do 3 spiders have?")
    spent = result.context_wrapper.usage
    print(result.final_output, spent.input_tokens, "+", spent.output_tokens, "tokens")


if __name__ == "__main__":
    main()
