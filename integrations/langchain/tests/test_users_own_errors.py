"""Whatever a user's own code raises inside a call is the caller's to see, as without us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.testing.fake_openai import Server
from langchain_adaptive import AdaptiveChatModel, AdaptiveComputeMiddleware

Chat = Callable[..., ChatOpenAI]
HI: dict[str, Any] = {"messages": [("user", "Double 10")]}
THREE = Middleware(best_of_n(fixed(3), max_samples=3, score=False))


def fail(*_: Any, **__: Any) -> Any:
    message = "the user's own"
    raise LookupError(message)


async def afail(*_: Any, **__: Any) -> Any:
    fail()


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


HOOKS = ["before_agent", "before_model", "wrap_model_call", "wrap_tool_call", "after_model", "after_agent"]


@pytest.mark.parametrize("order", ["outside", "inside"])
@pytest.mark.parametrize("hook", HOOKS)
async def test_a_hook_of_another_middleware_that_raises(chat: Chat, hook: str, order: str) -> None:
    theirs: Any = type("Theirs", (AgentMiddleware,), {hook: fail, f"a{hook}": afail})()
    ours = AdaptiveComputeMiddleware(THREE)
    stack = [ours, theirs] if order == "outside" else [theirs, ours]
    agent: Any = create_agent(chat(), [double], middleware=stack)
    with pytest.raises(LookupError, match="the user's own"):
        agent.invoke(HI)
    with pytest.raises(LookupError, match="the user's own"):
        await agent.ainvoke(HI)


class Once(AgentMiddleware[Any, Any, Any]):
    """Fails at the second call of its handler."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        self.calls += 1
        if self.calls == 2:
            fail()
        return handler(request)


def test_a_middleware_inside_us_that_fails_for_one_sample_costs_that_sample(chat: Chat) -> None:
    stack = [AdaptiveComputeMiddleware(THREE, max_concurrency=1), Once()]
    agent: Any = create_agent(chat(), [], middleware=stack)
    (*_, answer) = agent.invoke(HI)["messages"]
    report = answer.response_metadata["adaptive"]
    assert (report["samples"], len(report["candidates"])) == (3, 2)
    assert "the user's own" in report["degraded"][0]


class Watching(BaseCallbackHandler):
    """A handler whose errors count."""

    raise_error = True


@pytest.mark.parametrize("event", ["on_chat_model_start", "on_llm_end"])
async def test_a_callback_that_raises(server: Server, chat: Chat, event: str) -> None:
    handler: Any = type("Handler", (Watching,), {event: fail})()
    wrapped = AdaptiveChatModel(inner=chat(), middleware=THREE)
    requests = []
    for model in (chat(), wrapped):
        for _ in range(2):
            server.reset()
            with pytest.raises(LookupError, match="the user's own"):
                await model.ainvoke("Hi", {"callbacks": [handler]})
            with pytest.raises(LookupError, match="the user's own"):
                model.invoke("Hi", {"callbacks": [handler]})
        requests.append(len(server.calls))
    assert requests == ([0, 0] if event == "on_chat_model_start" else [2, 6])


async def test_a_rate_limiter_that_raises(server: Server, chat: Chat) -> None:
    limiter: Any = type("Limiter", (), {"acquire": fail, "aacquire": afail})()
    inner = chat().model_copy(update={"rate_limiter": limiter})
    model = AdaptiveChatModel(inner=inner, middleware=THREE)
    with pytest.raises(LookupError, match="the user's own"):
        model.invoke("Hi")
    with pytest.raises(LookupError, match="the user's own"):
        await model.ainvoke("Hi")
    assert server.calls == []
