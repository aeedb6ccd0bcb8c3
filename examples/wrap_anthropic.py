"""A middleware for the Anthropic SDK's own clients, sync and async; a scripted server on loopback stands for the provider."""

import asyncio
import pathlib
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any

import anthropic

from adaptive_middleware import Middleware, Outcome, Path, Request, Usage
from adaptive_middleware.sampling.draws import AsyncDraws, Draws
from adaptive_middleware.steps import split_steps
from adaptive_middleware.testing.fake_sse import Script, fake_sse, whole_reply
from adaptive_middleware.types import ToolCall

MIDDLEWARE = Middleware.from_config(pathlib.Path(__file__).with_name("adaptive.yaml"))


class Adaptive(anthropic.Middleware):
    """Asks as often as the middleware says; streams, and whatever is not a message, are plain calls."""

    def handle(self, request: Any, call_next: Any) -> Any:
        """The winner's response; its message has the tokens of all samples."""
        ours = asked(request)
        if ours is None:
            return call_next(request)

        def draw(_: Request) -> Path:
            response = answered(call_next(request))
            return path(response, response.parse())

        try:
            return told(MIDDLEWARE.run(ours, Draws(draw)))
        except RefusedError as error:
            return error.args[0]

    async def handle_async(self, request: Any, call_next: Any) -> Any:
        """As `handle`."""
        ours = asked(request)
        if ours is None:
            return await call_next(request)

        async def draw(_: Request) -> Path:
            response = answered(await call_next(request))
            return path(response, await response.parse())

        try:
            return told(await MIDDLEWARE.arun(ours, AsyncDraws(draw)))
        except RefusedError as error:
            return error.args[0]


class RefusedError(Exception):
    """The provider's response with an error in it: where every sample has one, it is the SDK's to raise or to retry."""


def asked(request: Any) -> Request | None:
    """The call as rules and scorers see it; None where it is not one that may be asked several times."""
    if request.stream or request.url.split("?")[0] != "/v1/messages":
        return None
    text = "\n".join(str(message["content"]) for message in request.json["messages"])
    return Request(text, model=request.json["model"])


def answered(response: Any) -> Any:
    """The response, unless the provider refused."""
    if response.status_code >= 400:
        raise RefusedError(response)
    return response


def path(response: Any, message: Any) -> Path:
    """One sample: its text, its tool calls, its tokens."""
    calls = tuple(ToolCall(part.name, part.input) for part in message.content if part.type == "tool_use")
    text = "".join(part.text for part in message.content if part.type == "text")
    usage = Usage(message.usage.input_tokens, message.usage.output_tokens, requests=1)
    return Path(tuple(split_steps(text)), tool_calls=calls, usage=usage, raw=(response, message))


def told(outcome: Outcome) -> Any:
    """The winner's response; what it parses to says what all samples cost."""
    print(outcome.usage.requests, "samples:", outcome.decisions[-1].because)
    winner: Any = outcome.chosen.raw
    response, message = winner
    message.usage.input_tokens = outcome.usage.prompt_tokens
    message.usage.output_tokens = outcome.usage.completion_tokens
    return response


def scripted() -> Callable[[Mapping[str, Any]], Script]:
    """A model that calls `legs`, each third time with a wrong number, and then says what the tool said."""
    before = count()

    def script(body: Mapping[str, Any]) -> Script:
        last = body["messages"][-1]["content"]
        if isinstance(last, str):
            number = 3 if next(before) % 3 else 4
            said = {"type": "tool_use", "id": "toolu_1", "name": "legs", "input": {"number": number}}
        else:
            said = {"type": "text", "text": f"The tool says {last[0]['content']}."}
        reply = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [said]}
        usage = {"input_tokens": 10, "output_tokens": 5}
        return [
            whole_reply(
                {**reply, "stop_reason": "tool_use" if isinstance(last, str) else "end_turn", "usage": usage}
            )
        ]

    return script


def legs(number: int) -> str:
    """The legs of so many spiders."""
    print("legs of", number)
    return str(number * 8)


async def alegs(number: int) -> str:
    """The legs of so many spiders."""
    return legs(number)


async def asked_async(client: Any, call: dict[str, Any]) -> list[Any]:
    """The messages of a run of the asynchronous client."""
    tool = anthropic.beta_async_tool(alegs, name="legs")
    return [message async for message in client.beta.messages.tool_runner(tools=[tool], **call)]


def main() -> None:
    """One run of the SDK's tool loop by each client: the model calls the tool, sees its result, and answers."""
    question = {"role": "user", "content": "How many legs do 3 spiders have?"}
    call: dict[str, Any] = {"model": "claude", "max_tokens": 100, "messages": [question]}
    with fake_sse({"claude": scripted()}) as server:
        settings: dict[str, Any] = {"base_url": server.url.removesuffix("/v1"), "api_key": "none"}
        client = anthropic.Anthropic(**settings, middleware=[Adaptive()])
        show(client.beta.messages.tool_runner(tools=[anthropic.beta_tool(legs)], **call))
        aclient = anthropic.AsyncAnthropic(**settings, middleware=[Adaptive()])
        show(asyncio.run(asked_async(aclient, call)))


def show(messages: Iterable[Any]) -> None:
    """What the caller sees of a run."""
    seen = list(messages)
    spent = [(message.usage.input_tokens, message.usage.output_tokens) for message in seen]
    tokens_in, tokens_out = map(sum, zip(*spent, strict=True))
    print(seen[-1].content[0].text, tokens_in, "+", tokens_out, "tokens")


if __name__ == "__main__":
    main()
