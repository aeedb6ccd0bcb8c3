"""Wrap a CrewAI LLM in an agent with a tool, sync and async; a fake OpenAI server on loopback stands for the provider."""

import asyncio
import os
import pathlib
from typing import Any

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
from crewai import LLM, Agent, BaseLLM
from crewai.events.utils.console_formatter import set_suppress_console_output
from crewai.tools import tool
from crewai.utilities.agent_utils import extract_tool_call_info, parse_tool_call_args

from adaptive_middleware import Middleware, Outcome, Path, Request, Usage
from adaptive_middleware.sampling.draws import AsyncDraws, Draws
from adaptive_middleware.steps import split_steps
from adaptive_middleware.testing.fake_openai import fake_openai
from adaptive_middleware.types import ToolCall

MIDDLEWARE = Middleware.from_config(pathlib.Path(__file__).with_name("adaptive.yaml"))


class Adaptive(BaseLLM):
    """The `inner` LLM, asked as often as the middleware says; its counters have the tokens of all samples."""

    inner: Any

    def call(
        self, messages: Any, tools: Any = None, *, available_functions: Any = None, **options: Any
    ) -> Any:
        """The winner of one call's samples."""

        def draw(_: Request) -> Path:
            one = self._sample()
            return path(one, one.call(messages, tools, **options))

        return self._told(MIDDLEWARE.run(self._request(messages), Draws(draw)), available_functions)

    async def acall(
        self, messages: Any, tools: Any = None, *, available_functions: Any = None, **options: Any
    ) -> Any:
        """As `call`."""

        async def draw(_: Request) -> Path:
            one = self._sample()
            return path(one, await one.acall(messages, tools, **options))

        outcome = await MIDDLEWARE.arun(self._request(messages), AsyncDraws(draw))
        return self._told(outcome, available_functions)

    def supports_function_calling(self) -> bool:
        """Whether the agent may send tools; without this it asks for them in words."""
        return bool(self.inner.supports_function_calling())

    def get_context_window_size(self) -> int:
        """How many tokens the agent may send before it summarises."""
        return int(self.inner.get_context_window_size())

    def _request(self, messages: Any) -> Request:
        texts = [messages] if isinstance(messages, str) else [str(each.get("content")) for each in messages]
        return Request("\n".join(texts), model=self.model)

    def _sample(self) -> Any:
        """The inner LLM for one call, counting from nought, with the stop words of this call."""
        one = self.inner.model_copy()
        one._token_usage = dict.fromkeys(one._token_usage, 0)  # noqa: SLF001 - copies share it else
        one.stop = self.stop_sequences or one.stop
        return one

    def _told(self, outcome: Outcome, functions: Any) -> Any:
        """The winner; where the caller wants its tool run at once, what that says."""
        print(outcome.usage.requests, "samples:", outcome.decisions[-1].because)
        spent = outcome.usage
        tokens = {"prompt_tokens": spent.prompt_tokens, "completion_tokens": spent.completion_tokens}
        self._track_token_usage_internal(tokens)
        for call in outcome.chosen.tool_calls if functions else ():
            return str(functions[call.name](**call.arguments))
        return outcome.chosen.raw


def path(one: Any, answer: Any) -> Path:
    """One sample: its text or its tool calls, and its tokens."""
    found = [extract_tool_call_info(call) for call in answer] if isinstance(answer, list) else []
    calls = tuple(ToolCall(name, dict(parse_tool_call_args(args, name, key)[0])) for key, name, args in found)
    spent = one.get_token_usage_summary()
    usage = Usage(spent.prompt_tokens, spent.completion_tokens, requests=1)
    text = "" if isinstance(answer, list) else str(answer)
    return Path(tuple(split_steps(text)), tool_calls=calls, usage=usage, raw=answer)


@tool("legs")
def legs(number: int) -> int:
    """The legs of so many spiders."""
    print("legs of", number)
    return number * 8


SCHEMA = {
    "type": "function",
    "function": {"name": "legs", "parameters": {"properties": {"number": {"type": "integer"}}}},
}
ASKED = "How many legs do 3 spiders have?"


def run_agent(llm: Adaptive) -> str:
    """One agent run: the model calls the tool, sees its result, and answers."""
    agent = Agent(role="counter", goal="count", backstory="You count legs.", tools=[legs], llm=llm)
    return str(agent.kickoff(ASKED).raw)


def run_call(llm: Adaptive) -> str:
    """One asynchronous call that runs the tool itself, as CrewAI's planning does."""
    return str(asyncio.run(llm.acall(ASKED, tools=[SCHEMA], available_functions={"legs": legs.run})))


def main() -> None:
    """Both ways, and what they cost."""
    set_suppress_console_output(True)  # its panels come from a thread, amid the lines of others
    for run in (run_agent, run_call):
        with fake_openai() as server:
            model = LLM(model="openai/fake+split", base_url=server.url, api_key="none")
            llm = Adaptive(model=model.model, inner=model)
            said = run(llm)
        spent = llm.get_token_usage_summary()
        print(said, spent.prompt_tokens, "+", spent.completion_tokens, "tokens")


if __name__ == "__main__":
    main()
