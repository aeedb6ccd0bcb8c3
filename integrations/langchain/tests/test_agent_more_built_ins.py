"""Built-in middlewares that ask a model of their own or bring tools: theirs is not sampled, ours goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent, middleware
from langchain.agents.middleware import (
    AgentMiddleware,
    FilesystemFileSearchMiddleware,
    LLMToolEmulator,
    LLMToolSelectorMiddleware,
    ProviderToolSearchMiddleware,
    ToolErrorMiddleware,
)
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.testing.fake_openai import Server
from langchain_adaptive import AdaptiveComputeMiddleware

Chat = Callable[..., ChatOpenAI]
DOUBLE_TEN: dict[str, Any] = {"messages": [("user", "Double 10")]}
IN_COMPOSITIONS = """ContextEditingMiddleware HumanInTheLoopMiddleware ModelCallLimitMiddleware ModelFallbackMiddleware
    ModelRetryMiddleware PIIMiddleware SummarizationMiddleware TodoListMiddleware ToolCallLimitMiddleware ToolRetryMiddleware"""
HERE = """FilesystemFileSearchMiddleware LLMToolEmulator LLMToolSelectorMiddleware ProviderToolSearchMiddleware
    ToolErrorMiddleware ModelRefusalMiddleware"""
IN_ROUTES = "ModelRouterMiddleware AutoModeMiddleware"
UNTESTED = (
    "ShellToolMiddleware"  # brings a tool, as the file search does; its shell leaves pipes open at the end
)


def test_every_built_in_middleware_of_this_langchain_has_a_test() -> None:
    classes = [vars(middleware).get(name) for name in middleware.__all__]
    built_in = {
        one.__name__
        for one in classes
        if isinstance(one, type) and issubclass(one, AgentMiddleware) and one is not AgentMiddleware
    }
    assert built_in - set(f"{IN_COMPOSITIONS} {HERE} {IN_ROUTES}".split()) == {UNTESTED}


@tool
def double(number: int) -> int:
    """Double a number."""
    if number == 13:
        message = "thirteen"
        raise ValueError(message)
    return 2 * number


def looped(model: ChatOpenAI, theirs: AgentMiddleware[Any, Any, Any], order: str) -> Any:
    ours = AdaptiveComputeMiddleware(Middleware(best_of_n(fixed(3), max_samples=3, score=False)))
    stacks = {"outside": [ours, theirs], "inside": [theirs, ours], "without": [theirs]}
    return create_agent(model, [double], middleware=stacks[order])


def says(state: Any) -> list[str]:
    return [message.text for message in state["messages"]]


ORDERS = pytest.mark.parametrize("order", ["outside", "inside"])
NEW: Any = vars(middleware).get("ModelRefusalMiddleware")
THEIRS: dict[str, Callable[[Path], AgentMiddleware[Any, Any, Any]]] = {
    "files": lambda folder: FilesystemFileSearchMiddleware(root_path=str(folder)),
    "tool errors": lambda _: ToolErrorMiddleware(lambda error, _: f"failed: {error}"),
    "tool search": lambda _: ProviderToolSearchMiddleware(),
    **({} if NEW is None else {"refusals": lambda _: NEW()}),
}


@ORDERS
@pytest.mark.parametrize("name", THEIRS)
async def test_a_loop_beside_it_is_the_same_as_with_it_alone(
    server: Server, chat: Chat, tmp_path: Path, name: str, order: str
) -> None:
    number = 13 if name == "tool errors" else 10
    question: dict[str, Any] = {"messages": [("user", f"Double {number}")]}
    theirs = THEIRS[name](tmp_path)
    alone = await looped(chat(), theirs, "without").ainvoke(question)
    sent = [body["tools"] for body in server.calls]
    server.reset()
    state = await looped(chat(), theirs, order).ainvoke(question)
    assert says(state) == says(alone)
    assert len(says(state)) == 4
    assert state["adaptive_spend"]["samples"] == len(server.calls) == 6
    assert [body["tools"] for body in server.calls] == [sent[0]] * 3 + [sent[1]] * 3


@ORDERS
async def test_a_selector_of_tools_inside_us_is_asked_for_each_sample_and_outside_once_for_a_call(
    server: Server, chat: Chat, order: str
) -> None:
    selecting = chat("constant+selector")
    state = await looped(chat(), LLMToolSelectorMiddleware(model=selecting), order).ainvoke(DOUBLE_TEN)
    assert says(state) == ["Double 10", "", "20", "The tool says 20."]
    asked = [body["model"] for body in server.calls]
    assert asked.count("fake+constant") == state["adaptive_spend"]["samples"] == 6
    assert asked.count("fake+constant+selector") == {"inside": 2, "outside": 6}[order]


@ORDERS
async def test_an_emulated_tool_is_asked_once_for_the_winners_call(
    server: Server, chat: Chat, order: str
) -> None:
    emulating = GenericFakeChatModel(messages=iter([AIMessage("about 20")]))  # a second call would end it
    state = await looped(chat(), LLMToolEmulator(model=emulating), order).ainvoke(DOUBLE_TEN)
    assert says(state) == ["Double 10", "", "about 20", "The tool says about 20."]
    assert state["adaptive_spend"]["samples"] == len(server.calls) == 6
