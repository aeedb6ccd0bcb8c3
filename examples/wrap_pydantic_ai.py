"""Wrap a pydantic-ai model in an agent with a tool; a fake OpenAI server on loopback stands for the provider."""

import pathlib
from dataclasses import replace
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import RequestUsage

from adaptive_middleware import Middleware, Path, Request, Usage
from adaptive_middleware.sampling.draws import AsyncDraws
from adaptive_middleware.steps import split_steps
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.types import ToolCall

MIDDLEWARE = Middleware.from_config(pathlib.Path(__file__).with_name("adaptive.yaml"))


class Adaptive(WrapperModel):
    """The wrapped model, asked as often as the middleware says; the winner carries the usage of all samples."""

    async def request(self, messages: list[Any], *rest: Any) -> ModelResponse:
        """The winner of one call's samples."""

        async def draw(_: Request) -> Path:
            answer = await self.wrapped.request(messages, *rest)
            calls = tuple(ToolCall(call.tool_name, call.args_as_dict()) for call in answer.tool_calls)
            usage = Usage(answer.usage.input_tokens, answer.usage.output_tokens, requests=1)
            return Path(tuple(split_steps(answer.text or "")), tool_calls=calls, usage=usage, raw=answer)

        text = "\n".join(str(part.content) for m in messages for part in m.parts if hasattr(part, "content"))
        outcome = await MIDDLEWARE.arun(Request(text, model=self.model_name), AsyncDraws(draw))
        print(outcome.usage.requests, "samples:", outcome.decisions[-1].because)
        usage = RequestUsage(
            input_tokens=outcome.usage.prompt_tokens, output_tokens=outcome.usage.completion_tokens
        )
        winner: Any = outcome.chosen.raw
        return replace(winner, usage=usage)


def legs(animal: str, number: int) -> int:
    """The legs of so many animals."""
    print("legs of", number)
    return number * {"spider": 8}.get(animal, 4)


def main() -> None:
    """One agent run: the model calls the tool, sees its result, and answers."""
    with fake_openai() as server:
        provider = OpenAIProvider(base_url=server.url, api_key="none")
        agent = Agent(Adaptive(OpenAIChatModel("fake+split", provider=provider)), tools=[legs])
        result = agent.run_sync('How many legs do 3 "spider" have?')
    spent = result.usage
    print(result.output, spent.input_tokens, "+", spent.output_tokens, "tokens")


if __name__ == "__main__":
    main()
