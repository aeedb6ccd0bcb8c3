"""Answers that a provider should not give, inside a sampled agent: none of them breaks the call or runs a tool twice."""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call
from langchain_core.tools import tool

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.strategies.select import majority_vote
from langchain_adaptive import AdaptiveComputeMiddleware


class Scripted(GenericFakeChatModel):
    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


@pytest.fixture
def doubled() -> list[int]:
    return []


def run(doubled: list[int], answers: list[AIMessage]) -> dict[str, Any]:
    """An agent whose model gives `answers` one after the other, three for each call; most votes win."""

    @tool
    def double(number: int) -> int:
        """Double a number."""
        doubled.append(number)
        return 2 * number

    messages: Iterator[Any] = iter(answers)
    strategy = best_of_n(fixed(3), max_samples=3, score=False, select=majority_vote)
    ours = AdaptiveComputeMiddleware(Middleware(strategy), max_concurrency=1)
    agent: Any = create_agent(Scripted(messages=messages), [double], middleware=[ours])
    return dict(agent.invoke({"messages": [("user", "Double 10")]}))


def double_of(number: int, identity: str = "1") -> AIMessage:
    return AIMessage("", tool_calls=[tool_call(name="double", args={"number": number}, id=identity)])


def done() -> list[AIMessage]:
    return [AIMessage("Done.")] * 3


def test_malformed_arguments_do_not_win_over_calls_that_agree(doubled: list[int]) -> None:
    broken = AIMessage(
        "",
        invalid_tool_calls=[invalid_tool_call(name="double", args='{"number": 1', id="1", error="cut off")],
    )
    state = run(doubled, [broken, double_of(10), double_of(10), *done()])
    assert (doubled, state["messages"][-1].content) == ([10], "Done.")


def test_samples_that_share_the_id_of_their_tool_call_stay_apart(doubled: list[int]) -> None:
    state = run(doubled, [double_of(11), double_of(10), double_of(10), *done()])
    assert doubled == [10]
    assert [message.type for message in state["messages"]] == ["human", "ai", "tool", "ai"]


def test_an_empty_answer_does_not_win_over_answers_that_agree(doubled: list[int]) -> None:
    state = run(doubled, [AIMessage(""), AIMessage("The answer is 20."), AIMessage("The answer is 20.")])
    assert state["messages"][-1].content == "The answer is 20."
    assert doubled == []


def test_a_tool_that_does_not_exist_is_answered_by_the_agent_as_ever(doubled: list[int]) -> None:
    gone = AIMessage("", tool_calls=[tool_call(name="gone", args={}, id="1")])
    state = run(doubled, [gone, gone, gone, *done()])
    assert "gone is not a valid tool" in state["messages"][2].content
    assert doubled == []
