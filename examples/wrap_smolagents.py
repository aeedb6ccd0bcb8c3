"""Wrap a smolagents model in a tool-calling agent; a fake OpenAI server on loopback stands for the provider."""

import pathlib
from dataclasses import replace
from json import loads
from typing import Any

from smolagents import Model, OpenAIServerModel, ToolCallingAgent, tool
from smolagents.models import ChatMessage
from smolagents.monitoring import TokenUsage

from adaptive_middleware import Middleware, Path, Request, Usage
from adaptive_middleware.sampling.draws import Draws
from adaptive_middleware.steps import split_steps
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.types import ToolCall

MIDDLEWARE = Middleware.from_config(pathlib.Path(__file__).with_name("adaptive.yaml"))


class Adaptive(Model):
    """The `inner` model, asked as often as the middleware says; the winner carries the tokens of all samples; streams are plain calls."""

    def __init__(self, inner: Model) -> None:
        super().__init__(model_id=inner.model_id)
        self.inner = inner

    def generate_stream(self, *asked: Any, **options: Any) -> Any:
        """The stream of one plain call."""
        return self.inner.generate_stream(*asked, **options)

    def generate(self, messages: list[Any], *rest: Any, **options: Any) -> ChatMessage:
        """The winner of one call's samples."""

        def draw(_: Request) -> Path:
            answer = self.inner.generate(messages, *rest, **options)
            called = [call.function for call in answer.tool_calls or ()]
            calls = tuple(ToolCall(each.name, _object(each.arguments)) for each in called)
            usage = Usage(answer.token_usage.input_tokens, answer.token_usage.output_tokens, requests=1)
            return Path(
                tuple(split_steps(str(answer.content or ""))), tool_calls=calls, usage=usage, raw=answer
            )

        asked = Request("\n".join(str(each.content) for each in messages), model=self.model_id)
        outcome = MIDDLEWARE.run(asked, Draws(draw))
        print(outcome.usage.requests, "samples:", outcome.decisions[-1].because)
        spent = TokenUsage(outcome.usage.prompt_tokens, outcome.usage.completion_tokens)
        winner: Any = outcome.chosen.raw
        return replace(winner, token_usage=spent)


def _object(arguments: Any) -> dict[str, Any]:
    return loads(arguments) if isinstance(arguments, str) else dict(arguments)


@tool
def legs(number: int) -> int:
    """The legs of spiders.

    Args:
        number: How many spiders.
    """
    print("legs of", number)
    return number * 8


def main() -> None:
    """One agent run of one step: the model calls the tool, and the fake one cannot say that it is done."""
    with fake_openai() as server:
        model = OpenAIServerModel("fake+split", api_base=server.url, api_key="none")
        agent = ToolCallingAgent([legs], Adaptive(model), max_steps=1, verbosity_level=0)
        agent.run("How many legs do 3 spiders have?")
    spent = agent.monitor.get_total_token_counts()
    print(agent.memory.steps[1].observations, spent.input_tokens, "+", spent.output_tokens, "tokens")


if __name__ == "__main__":
    main()
