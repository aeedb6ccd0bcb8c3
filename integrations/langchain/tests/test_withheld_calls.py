"""A tool call that must not be wrong never runs in an agent unless it is sure enough; the agent says why."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware, Rule, best_of_n, fixed
from adaptive_middleware.strategies.careful import careful
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.tool_rules import ToolRule
from langchain_adaptive import AdaptiveChatModel, AdaptiveComputeMiddleware

RULES = (ToolRule("deploy", target=0.97, on_fail="abstain"),)
WHY = "deploy must be right with probability 0.97, and the best of 3 answers reaches 0.600"


def agent(model: ChatOpenAI, p: float, ran: list[int], *, inside: bool = False) -> Any:
    @tool
    def deploy(version: int) -> str:
        """Deploy a version."""
        ran.append(version)
        return "deployed"

    rule = Rule("tools", careful(best_of_n(fixed(1), max_samples=3), RULES), tools=RULES)
    middleware = Middleware(rules=[rule], scorer=TableScorer(p))
    if inside:
        return create_agent(model, [deploy], middleware=[AdaptiveComputeMiddleware(middleware)])
    return create_agent(AdaptiveChatModel(inner=model, middleware=middleware), [deploy])


@pytest.mark.parametrize("mode", ["sync", "async", "stream"])
async def test_an_unsure_call_does_not_run_and_the_agent_is_told(
    server: Server, chat: Callable[..., ChatOpenAI], mode: str
) -> None:
    ran: list[int] = []
    careful_agent, question = agent(chat(), 0.6, ran), {"messages": [HumanMessage("Deploy 7")]}
    if mode == "async":
        state = await careful_agent.ainvoke(question)
    elif mode == "sync":
        state = careful_agent.invoke(question)
    else:
        *_, state = careful_agent.stream(question, stream_mode="values")
    said = state["messages"][-1]
    assert isinstance(said, AIMessage)
    assert (ran, said.tool_calls, len(state["messages"])) == ([], [], 2)
    assert said.content == f"No tool was called: {WHY}. Ask for what is missing, or let a person decide."
    assert said.response_metadata["finish_reason"] == "stop"
    assert said.response_metadata["adaptive"]["abstained"] == WHY
    assert len(server.calls) == 3
    assert said.usage_metadata is not None
    assert said.usage_metadata["output_tokens"] > 0


def test_a_sure_call_runs_once_with_one_sample(server: Server, chat: Callable[..., ChatOpenAI]) -> None:
    ran: list[int] = []
    state = agent(chat(), 0.98, ran).invoke({"messages": [HumanMessage("Deploy 7")]})
    assert (ran, state["messages"][2].content) == ([7], "deployed")
    assert len(server.calls) == 2


async def test_the_agent_middleware_withholds_an_unsure_call_and_lets_a_sure_one_run(
    chat: Callable[..., ChatOpenAI],
) -> None:
    ran: list[int] = []
    question = {"messages": [HumanMessage("Deploy 7")]}
    for asked in (
        agent(chat(), 0.6, ran, inside=True).invoke(question),
        await agent(chat(), 0.6, ran, inside=True).ainvoke(question),
    ):
        said = asked["messages"][-1]
        assert said.content == f"No tool was called: {WHY}. Ask for what is missing, or let a person decide."
        assert said.response_metadata["adaptive"]["abstained"] == WHY
        assert asked["adaptive_spend"]["samples"] == 3
    assert ran == []
    agent(chat(), 0.98, ran, inside=True).invoke(question)
    assert ran == [7]
