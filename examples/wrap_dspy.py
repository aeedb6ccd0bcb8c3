"""Engines for DSPy's LM, sync and async; a fake OpenAI server on loopback stands for the provider."""

import asyncio
import pathlib
from dataclasses import replace
from typing import Any, Self

import dspy
from dspy import lm15
from dspy.clients.engines.lm15_engine import AsyncLM15Engine, LM15Engine

from adaptive_middleware import Middleware, Outcome, Path, Request, Usage
from adaptive_middleware.sampling.draws import AsyncDraws, Draws
from adaptive_middleware.steps import split_steps
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.types import ToolCall

MIDDLEWARE = Middleware.from_config(pathlib.Path(__file__).with_name("adaptive.yaml"))


class Adaptive:
    """The `inner` engine, asked as often as the middleware says; streams are plain calls."""

    supports_function_calling = True

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __deepcopy__(self, _: Any) -> Self:
        """Itself: copies of a program share its engine."""
        return self

    def stream(self, call: Any) -> Any:
        """The events of one plain call."""
        return self.inner.stream(call)

    def complete(self, call: Any) -> Any:
        """The winner of one call's samples, with the usage of all of them."""
        return told(MIDDLEWARE.run(request(call), Draws(lambda _: path(self.inner.complete(call)))))


class AsyncAdaptive(Adaptive):
    """As `Adaptive`, around an asynchronous engine."""

    async def complete(self, call: Any) -> Any:
        """As `Adaptive.complete`."""

        async def draw(_: Request) -> Path:
            return path(await self.inner.complete(call))

        return told(await MIDDLEWARE.arun(request(call), AsyncDraws(draw)))


def request(call: Any) -> Request:
    """The call as rules and scorers see it."""
    return Request("\n".join(message.text or "" for message in call.messages), model=call.model)


def path(response: Any) -> Path:
    """One sample: its text, its tool calls, its tokens."""
    called = response.message.parts_of(lm15.ToolCallPart)
    calls = tuple(ToolCall(call.name, call.input) for call in called)
    spent = Usage(response.usage.input_tokens or 0, response.usage.output_tokens or 0, requests=1)
    return Path(tuple(split_steps(response.message.text or "")), tool_calls=calls, usage=spent, raw=response)


def told(outcome: Outcome) -> Any:
    """The winner; its usage is what all samples cost."""
    print(outcome.usage.requests, "samples:", outcome.decisions[-1].because)
    spent = lm15.Usage(
        input_tokens=outcome.usage.prompt_tokens, output_tokens=outcome.usage.completion_tokens
    )
    winner: Any = outcome.chosen.raw
    return replace(winner, usage=spent)


def legs(number: int) -> int:
    """The legs of so many spiders."""
    print("legs of", number)
    return number * 8


class Ask(dspy.Signature):
    """Answer with calls of tools."""

    question: str = dspy.InputField()
    tools: list[dspy.Tool] = dspy.InputField()
    calls: dspy.ToolCalls = dspy.OutputField()


async def show(kind: str) -> None:
    """One question by one kind of call; the winner's tool call runs."""
    asked = {"question": "How many legs do 3 spiders have?", "tools": [dspy.Tool(legs)]}
    with fake_openai() as server:
        urls = {"openai-chat": server.url}
        config = lm15.RouterConfig(api_keys={"openai-chat": "none"}, base_urls=urls, env={})
        engines = {
            "engine": Adaptive(LM15Engine(config)),
            "async_engine": AsyncAdaptive(AsyncLM15Engine(config)),
        }
        lm = dspy.LM("openai/fake+split", **engines, cache=False)
        adapter = dspy.ChatAdapter(use_native_function_calling=True)
        with dspy.context(lm=lm, adapter=adapter, track_usage=True):
            ask = dspy.Predict(Ask)
            answer = await (ask.acall(**asked) if kind == "async" else asyncio.to_thread(ask, **asked))
        (call,) = answer.calls.tool_calls
        (spent,) = answer.get_lm_usage().values()
        print(f"The tool says {call.execute(asked['tools'])}.", end=" ")
        print(spent["prompt_tokens"], "+", spent["completion_tokens"], "tokens")


def main() -> None:
    """A synchronous and an asynchronous call."""
    asyncio.run(show("sync"))
    asyncio.run(show("async"))


if __name__ == "__main__":
    main()
