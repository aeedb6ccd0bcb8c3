"""AdaptiveComputeMiddleware beside LangChain's own middlewares, outside and inside of each."""

import operator
from collections.abc import Callable, Sequence
from itertools import product
from typing import Annotated, Any, NotRequired

import pytest
from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ContextEditingMiddleware,
    HumanInTheLoopMiddleware,
    ModelCallLimitMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    PIIMiddleware,
    SummarizationMiddleware,
    TodoListMiddleware,
    ToolCallLimitMiddleware,
    ToolRetryMiddleware,
)
from langchain.agents.middleware.types import ExtendedModelResponse
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.types import Candidate, Choice
from langchain_adaptive import AdaptiveComputeMiddleware

Chat = Callable[..., ChatOpenAI]
Agent = Callable[..., Any]
ORDERS = pytest.mark.parametrize("order", ["outside", "inside"])
NO_WAITING: dict[str, Any] = {"max_retries": 2, "initial_delay": 0.0, "jitter": False}


def the_last(candidates: Sequence[Candidate]) -> Choice:
    return Choice(len(candidates) - 1, None, "last")


def double_ten() -> dict[str, Any]:
    return {"messages": [("user", "Double 10")]}


@pytest.fixture
def doubled() -> list[int]:
    return []


@pytest.fixture
def agent(doubled: list[int]) -> Agent:
    """`agent(model, theirs, order)`: ours outside or inside of `theirs`; the last of three samples wins."""

    @tool
    def double(number: int) -> int:
        """Double a number."""
        doubled.append(number)
        return 2 * number

    def made(
        model: ChatOpenAI, theirs: Sequence[AgentMiddleware[Any, Any, Any]], order: str, **more: Any
    ) -> Any:
        strategy = best_of_n(fixed(3), max_samples=3, score=False, select=the_last)
        ours = AdaptiveComputeMiddleware(Middleware(strategy), max_concurrency=1)
        stack = [ours, *theirs] if order == "outside" else [*theirs, ours]
        return create_agent(model, [double], middleware=stack, **more)

    return made


BUILT_IN: dict[str, Callable[[ChatOpenAI], AgentMiddleware[Any, Any, Any]]] = {
    "context editing": lambda _: ContextEditingMiddleware(),
    "model call limit": lambda _: ModelCallLimitMiddleware(run_limit=2),
    "model fallback": ModelFallbackMiddleware,
    "model retry": lambda _: ModelRetryMiddleware(max_retries=1),
    "pii": lambda _: PIIMiddleware("email"),
    "summarization": lambda model: SummarizationMiddleware(model, trigger=("messages", 100)),
    "tool call limit": lambda _: ToolCallLimitMiddleware(run_limit=1),
    "tool retry": lambda _: ToolRetryMiddleware(),
}


BESIDE = list(product(BUILT_IN, ["outside", "inside"], ["sync", "async"]))


@pytest.mark.parametrize("beside", BESIDE, ids="-".join)
async def test_a_tool_loop_is_the_same_beside_every_built_in(
    server: Server, chat: Chat, agent: Agent, doubled: list[int], beside: tuple[str, str, str]
) -> None:
    name, order, mode = beside
    made = agent(chat("split"), [BUILT_IN[name](chat())], order)
    state = await made.ainvoke(double_ten()) if mode == "async" else made.invoke(double_ten())
    assert [m.content for m in state["messages"]] == ["Double 10", "", "24", "The tool says 24."]
    assert doubled == [12]
    assert (state["adaptive_spend"]["calls"], state["adaptive_spend"]["samples"], len(server.calls)) == (
        2,
        6,
        6,
    )


@ORDERS
def test_limits_count_calls_of_the_agent_and_not_samples(
    server: Server, chat: Chat, agent: Agent, order: str
) -> None:
    made = agent(chat(), [ModelCallLimitMiddleware(run_limit=1), ToolCallLimitMiddleware(run_limit=9)], order)
    state = made.invoke(double_ten())
    assert len(server.calls) == 3
    assert "limit" in state["messages"][-1].content
    made = agent(chat(), [ToolCallLimitMiddleware(thread_limit=9)], order, checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    made.invoke(double_ten(), thread)
    assert made.get_state(thread).values["thread_tool_call_count"] == {"__all__": 1}


def test_a_fallback_around_us_samples_the_other_model_when_all_samples_failed(
    server: Server, chat: Chat, agent: Agent
) -> None:
    state = agent(chat("fail"), [ModelFallbackMiddleware(chat("split"))], "inside").invoke(double_ten())
    assert [body["model"] for body in server.calls] == ["fake+fail"] * 3 + ["fake+split"] * 3 + [
        "fake+fail"
    ] * 3 + ["fake+split"] * 3
    assert state["adaptive_spend"]["calls"] == 2


def test_a_fallback_inside_us_answers_for_each_sample_that_fails(
    server: Server, chat: Chat, agent: Agent
) -> None:
    state = agent(chat("fail"), [ModelFallbackMiddleware(chat("split"))], "outside").invoke(double_ten())
    assert [body["model"] for body in server.calls] == ["fake+fail", "fake+split"] * 6
    assert state["messages"][-1].content == "The tool says 24."


def test_a_retry_around_us_draws_all_samples_again(server: Server, chat: Chat, agent: Agent) -> None:
    theirs = ModelRetryMiddleware(on_failure="error", **NO_WAITING)
    with pytest.raises(Exception, match="asked for a failure"):
        agent(chat("fail"), [theirs], "inside").invoke(double_ten())
    assert len(server.calls) == 3 * 3


def test_a_retry_inside_us_repeats_the_one_sample(server: Server, chat: Chat, agent: Agent) -> None:
    theirs = ModelRetryMiddleware(on_failure="error", **NO_WAITING)
    state = agent(chat("fail=2"), [theirs], "outside").invoke(double_ten())
    assert state["adaptive_spend"]["samples"] == 6
    assert len(server.calls) == 6 + 5  # every second request failed
    assert state["messages"][-1].response_metadata["adaptive"]["degraded"] == []


@ORDERS
async def test_a_human_is_asked_about_the_winners_tool_call_and_nothing_is_drawn_again(
    server: Server, chat: Chat, agent: Agent, doubled: list[int], order: str
) -> None:
    asks = HumanInTheLoopMiddleware(interrupt_on={"double": True})
    made = agent(chat("split"), [asks], order, checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    paused = await made.ainvoke(double_ten(), thread)
    (asked,) = paused["__interrupt__"][0].value["action_requests"]
    assert (asked["args"], doubled, len(server.calls)) == ({"number": 12}, [], 3)
    state = await made.ainvoke(Command(resume={"decisions": [{"type": "approve"}]}), thread)
    assert (state["messages"][-1].content, doubled, len(server.calls)) == ("The tool says 24.", [12], 6)
    assert (state["adaptive_spend"]["calls"], state["adaptive_spend"]["samples"]) == (2, 6)


@ORDERS
def test_what_a_guard_redacts_is_what_the_winner_said(chat: Chat, agent: Agent, order: str) -> None:
    guard = PIIMiddleware("secret", detector=r"\d+", apply_to_output=True)
    made = agent(chat("arithmetic"), [guard], order)
    question = {"messages": [HumanMessage("1 + 1"), ToolMessage("2", tool_call_id="1")]}
    assert made.invoke(question)["messages"][-1].content == "The tool says [REDACTED_SECRET]."


@ORDERS
def test_a_summary_is_not_sampled(server: Server, chat: Chat, agent: Agent, order: str) -> None:
    shorten = SummarizationMiddleware(chat("constant"), trigger=("messages", 3), keep=("messages", 1))
    made = agent(chat("split"), [shorten], order)
    state = made.invoke({"messages": [("user", "One"), ("ai", "Two"), ("user", "Double 10")]})
    assert sum(body["model"] == "fake+constant" for body in server.calls) >= 1
    assert sum(body["model"] == "fake+split" for body in server.calls) == state["adaptive_spend"]["samples"]


@ORDERS
def test_the_to_do_list_is_the_winners(server: Server, chat: Chat, agent: Agent, order: str) -> None:
    state = agent(chat("split"), [TodoListMiddleware()], order).invoke(
        {"messages": [("user", "Plan 'tea', 'cake'")]}
    )
    assert [m.type for m in state["messages"]] == ["human", "ai", "tool", "ai"]
    assert [each["content"] for each in state["todos"]] == ["tea"]
    assert state["adaptive_spend"]["samples"] == len(server.calls) == 6
    assert all("write_todos" in str(body["messages"][0]) for body in server.calls)


class Counted(AgentState[Any]):
    turns: NotRequired[Annotated[int, operator.add]]


class Counting(AgentMiddleware[Any, Any]):
    """A user's own middleware that writes to the state."""

    state_schema = Counted

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        return ExtendedModelResponse(handler(request), Command(update={"turns": 1}))


@ORDERS
def test_another_middlewares_command_is_applied_once_for_each_call(
    chat: Chat, agent: Agent, order: str
) -> None:
    state = agent(chat(), [Counting()], order).invoke(double_ten())
    assert (state["turns"], state["adaptive_spend"]["calls"]) == (2, 2)


class Broken(AgentMiddleware[Any, Any]):
    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        message = "the user's own"
        raise LookupError(message)


@ORDERS
def test_a_users_middleware_that_raises_is_the_callers_to_see(chat: Chat, agent: Agent, order: str) -> None:
    with pytest.raises(LookupError, match="the user's own"):
        agent(chat(), [Broken()], order).invoke(double_ten())
