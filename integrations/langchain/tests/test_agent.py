"""Inside LangChain's agents: only the chosen sample's tool calls run, and users see one answer."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from adaptive_middleware import Middleware, Rule, best_of_n, fixed
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.types import Candidate, Choice
from langchain_adaptive import AdaptiveChatModel

Chat = Callable[..., ChatOpenAI]


def the_last(candidates: Sequence[Candidate]) -> Choice:
    return Choice(len(candidates) - 1, None, "last")


LAST_OF_THREE = best_of_n(fixed(3), max_samples=3, score=False, select=the_last)


@pytest.fixture
def doubled() -> list[int]:
    return []


@pytest.fixture
def agent(chat: Chat, doubled: list[int]) -> Any:
    @tool
    def double(number: int) -> int:
        """Double a number."""
        doubled.append(number)
        return 2 * number

    model = AdaptiveChatModel(inner=chat("split"), middleware=Middleware(LAST_OF_THREE), max_concurrency=1)
    return create_agent(model, [double])


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_only_the_winners_tool_call_runs(
    server: Server, agent: Any, doubled: list[int], mode: str
) -> None:
    question = {"messages": [HumanMessage("Double 10")]}
    state = await agent.ainvoke(question) if mode == "async" else agent.invoke(question)
    _, call, result, answer = state["messages"]
    assert [each["args"] for each in call.tool_calls] == [{"number": 12}]  # 10, 11 and 12 were proposed
    assert doubled == [12]
    assert (result.content, answer.content) == ("24", "The tool says 24.")
    assert len(server.calls) == 6
    assert [body["messages"][-1]["content"] for body in server.calls[3:]] == ["24"] * 3


def test_users_of_a_streaming_agent_see_the_winner_only(agent: Any, doubled: list[int]) -> None:
    question = {"messages": [HumanMessage("Double 10")]}
    seen = [message for message, _ in agent.stream(question, stream_mode="messages")]
    calls = [m.tool_calls for m in seen if isinstance(m, AIMessageChunk) and m.tool_calls]
    assert [[call["args"] for call in each] for each in calls] == [[{"number": 12}]]
    assert [m.content for m in seen if isinstance(m, ToolMessage)] == ["24"]
    assert "".join(str(m.content) for m in seen if isinstance(m, AIMessage)) == "The tool says 24."
    assert doubled == [12]


async def test_rules_see_the_agents_node_and_tags(server: Server, chat: Chat) -> None:
    rule = Rule("careful", LAST_OF_THREE, when=lambda r: r.call_site == "model" and "careful" in r.tags)
    agent: Any = create_agent(AdaptiveChatModel(inner=chat(), middleware=Middleware(rules=[rule])), [])
    question = {"messages": [HumanMessage("Hi")]}
    await agent.ainvoke(question, {"tags": ["careful"]})
    assert len(server.calls) == 3
    await agent.ainvoke(question)
    assert len(server.calls) == 4
    chunks = [chunk async for chunk in agent.astream(question, {"tags": ["careful"]}, stream_mode="messages")]
    assert (len(server.calls), len(chunks)) == (7, 1)
    live = [chunk async for chunk in agent.astream(question, stream_mode="messages")]
    assert len(server.calls) == 8
    assert len(live) > 1


class Weather(BaseModel):
    """The weather."""

    degrees: int


def test_an_agents_structured_answer_is_sampled(server: Server, chat: Chat) -> None:
    model = AdaptiveChatModel(inner=chat(), middleware=Middleware(LAST_OF_THREE))
    agent: Any = create_agent(model, [], response_format=ProviderStrategy(Weather))
    state = cast("dict[str, Any]", agent.invoke({"messages": [HumanMessage("It has 21 degrees")]}))
    assert state["structured_response"] == Weather(degrees=21)
    assert [body["response_format"]["type"] for body in server.calls] == ["json_schema"] * 3
