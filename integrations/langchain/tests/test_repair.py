"""A strategy that answers an answer, over LangChain: the turns that it adds are the framework's own messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware, Path, Rule
from adaptive_middleware.strategies.repair import repair
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.types import Request, Verdict
from langchain_adaptive import AdaptiveChatModel, AdaptiveComputeMiddleware
from langchain_adaptive.requests import message_of


class Fails:
    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        return [Verdict(passed=False, detail="f(1) is 3")] * len(paths)


def repairing() -> Middleware:
    strategy = repair(lambda state: int(state.drawn < 2), complaint="No: {output}", score=False)
    return Middleware(rules=[Rule("code", strategy)], verifier=Fails())


def roles(body: dict[str, Any]) -> list[tuple[str, object]]:
    return [(message["role"], message["content"]) for message in body["messages"]]


async def test_a_chat_model_sees_its_answer_and_what_failed(
    server: Server, chat: Callable[..., ChatOpenAI]
) -> None:
    bare = chat().invoke("Hi").content
    server.reset()
    model = AdaptiveChatModel(inner=chat(), middleware=repairing())
    for answered in (model.invoke("Hi"), await model.ainvoke("Hi")):
        assert answered.content == bare
    first, second, third, fourth = (roles(body) for body in server.calls)
    assert first == third == [("user", "Hi")]
    assert second == fourth == [("user", "Hi"), ("assistant", bare), ("user", "No: f(1) is 3")]


def test_an_agents_call_sees_them_too_and_its_own_messages_stay(
    server: Server, chat: Callable[..., ChatOpenAI]
) -> None:
    agent = create_agent(chat(), tools=[], middleware=[AdaptiveComputeMiddleware(repairing())])
    state = agent.invoke({"messages": [HumanMessage("Hi")]})
    first, second = (roles(body) for body in server.calls)
    assert first == [("user", "Hi")]
    assert [role for role, _ in second] == ["user", "assistant", "user"]
    assert [type(message).__name__ for message in state["messages"]] == ["HumanMessage", "AIMessage"]


def test_turns_are_messages_of_the_model_and_of_the_user() -> None:
    assert message_of("assistant", "a") == AIMessage("a")
    assert message_of("user", "u") == HumanMessage("u")
