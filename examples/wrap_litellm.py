"""A custom provider for LiteLLM: `adaptive/MODEL` is MODEL with adaptive samples; a fake OpenAI server stands for the provider."""

import asyncio
import os
import pathlib
from collections.abc import AsyncIterator
from json import loads
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # its import fetches a table else
import litellm

from adaptive_middleware import Middleware, Outcome, Path, Request, Usage
from adaptive_middleware.sampling.draws import AsyncDraws, Draws
from adaptive_middleware.steps import split_steps
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.types import ToolCall

MIDDLEWARE = Middleware.from_config(pathlib.Path(__file__).with_name("adaptive.yaml"))


class Adaptive(litellm.CustomLLM):
    """Asks the model behind `adaptive/` as often as the middleware says; streams are plain calls."""

    def completion(self, *_: Any, **asked: Any) -> Any:
        """The winner of one call's samples, with the usage of all of them."""
        call = plain(asked)
        return told(MIDDLEWARE.run(request(call), Draws(lambda _: path(litellm.completion(**call)))))

    async def acompletion(self, *_: Any, **asked: Any) -> Any:
        """As `completion`."""
        call = plain(asked)

        async def draw(_: Request) -> Path:
            return path(await litellm.acompletion(**call))

        return told(await MIDDLEWARE.arun(request(call), AsyncDraws(draw)))

    def streaming(self, *_: Any, **asked: Any) -> Any:
        """The stream of one plain call."""
        return litellm.completion(**plain(asked) | {"stream": True})

    async def astreaming(self, *_: Any, **asked: Any) -> AsyncIterator[Any]:
        """As `streaming`."""
        async for chunk in await litellm.acompletion(**plain(asked) | {"stream": True}):
            yield chunk


def plain(asked: dict[str, Any]) -> dict[str, Any]:
    """The call of the model itself, as the caller made it."""
    names = ("model", "messages", "api_base", "api_key", "timeout")
    call = {name: asked[name] for name in names}
    return {**call, "extra_headers": asked["headers"], **asked["optional_params"]}


def request(call: dict[str, Any]) -> Request:
    """The call as rules and scorers see it."""
    return Request("\n".join(str(each.get("content")) for each in call["messages"]), model=call["model"])


def path(reply: Any) -> Path:
    """One sample: its text, its tool calls, its tokens."""
    message = reply.choices[0].message
    called = [call.function for call in message.tool_calls or ()]
    calls = tuple(ToolCall(each.name, loads(each.arguments)) for each in called)
    usage = Usage(reply.usage.prompt_tokens, reply.usage.completion_tokens, requests=1)
    return Path(tuple(split_steps(message.content or "")), tool_calls=calls, usage=usage, raw=reply)


def told(outcome: Outcome) -> Any:
    """The winner; its usage is what all samples cost."""
    print(outcome.usage.requests, "samples:", outcome.decisions[-1].because)
    winner: Any = outcome.chosen.raw
    spent = (outcome.usage.prompt_tokens, outcome.usage.completion_tokens)
    winner.usage = litellm.Usage(prompt_tokens=spent[0], completion_tokens=spent[1], total_tokens=sum(spent))
    return winner


def legs(number: int) -> str:
    """The legs of so many spiders."""
    print("legs of", number)
    return str(number * 8)


LEGS = {
    "type": "function",
    "function": {
        "name": "legs",
        "description": "The legs of so many spiders.",
        "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}},
    },
}


async def main() -> None:
    """One run by each kind of call: the model calls the tool, sees its result, and answers; then a stream of it."""
    litellm.custom_provider_map = [{"provider": "adaptive", "custom_handler": Adaptive()}]
    with fake_openai() as server:
        call = {"model": "adaptive/openai/fake+split", "api_base": server.url, "api_key": "none"}
        messages: list[Any] = [{"role": "user", "content": "How many legs do 3 spiders have?"}]
        first = await litellm.acompletion(**call, messages=messages, tools=[LEGS])
        wanted = first.choices[0].message.tool_calls[0]
        result = legs(**loads(wanted.function.arguments))
        messages += [first.choices[0].message, {"role": "tool", "tool_call_id": wanted.id, "content": result}]
        last = await asyncio.to_thread(litellm.completion, **call, messages=messages, tools=[LEGS])
        spent = [(reply.usage.prompt_tokens, reply.usage.completion_tokens) for reply in (first, last)]
        tokens_in, tokens_out = map(sum, zip(*spent, strict=True))
        print(last.choices[0].message.content, tokens_in, "+", tokens_out, "tokens")
        stream = await litellm.acompletion(**call, messages=messages, tools=[LEGS], stream=True)
        print("".join([chunk.choices[0].delta.content or "" async for chunk in stream]))


if __name__ == "__main__":
    asyncio.run(main())
