from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.agent.react import ReActChatFormatter, ReActOutputParser
from llama_index.core.agent.workflow import (
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
)
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.llm import LLM
from llama_index.core.llms.mock import MockLLM
from llama_index.core.tools import FunctionTool

from llama_index_adaptive import AdaptiveLLM

# Warnings of LlamaIndex about itself: workflows reads every attribute of an agent (pydantic's deprecated ones
# too) by inspect.getmembers, and ReActAgent asks its context whether it is running.
pytestmark = [
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The `__fields:pydantic.warnings.PydanticDeprecatedSince20:inspect"),
    pytest.mark.filterwarnings(
        "ignore:Accessing the 'model_:pydantic.warnings.PydanticDeprecatedSince211:inspect"
    ),
]


class Adder:
    def __init__(self) -> None:
        self.ran: list[tuple[int, int]] = []

    def add(self, a: int, b: int) -> int:
        """Add two numbers."""
        self.ran.append((a, b))
        return a + b

    @property
    def tool(self) -> FunctionTool:
        return FunctionTool.from_defaults(self.add)


REACT_CALL = 'Thought: I need a tool, good.\nAction: add\nAction Input: {"a": 1, "b": 2}'
REACT_END = "Thought: I can answer without using any more tools. good\nAnswer: It is 3."


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_function_agent_runs_its_loop(
    wrap: Any, script: Any, calls: Callable[..., ChatMessage], streaming: bool
) -> None:
    adder = Adder()
    model = script([calls("add", a=1, b=2)] * wrap.n + ["good: 3"])
    agent = FunctionAgent(tools=[adder.tool], llm=wrap(model.model()), streaming=streaming)
    run = agent.run("1 + 2?")
    deltas = [event.delta async for event in run.stream_events() if isinstance(event, AgentStream)]
    assert str(await run) == "good: 3"
    assert adder.ran == [(1, 2)]
    assert len(model.calls) == 2 * wrap.n
    assert deltas == (["", "good: 3"] if streaming else [])


@pytest.mark.parametrize("streaming", [True, False])
async def test_only_the_winners_tool_call_runs(
    best_of: Callable[[int], Any], script: Any, calls: Callable[..., ChatMessage], streaming: bool
) -> None:
    adder = Adder()
    first = [calls("add", "bad", a=9, b=9), calls("add", "good", a=1, b=2), calls("add", "bad", a=8, b=8)]
    model = script([*first, "bad: 18", "bad: 16", "good: 3"])
    llm = AdaptiveLLM(llm=model.model(), middleware=best_of(3), max_concurrency=1)
    agent = FunctionAgent(tools=[adder.tool], llm=llm, streaming=streaming)
    assert str(await agent.run("1 + 2?")) == "good: 3"
    assert adder.ran == [(1, 2)]


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_react_agent_runs_its_loop(wrap: Any, script: Any, streaming: bool) -> None:
    adder = Adder()
    model = script([REACT_CALL] * wrap.n + [REACT_END])
    agent = ReActAgent(tools=[adder.tool], llm=wrap(model.model()), streaming=streaming)
    assert str(await agent.run("1 + 2?")) == "It is 3."
    assert adder.ran == [(1, 2)]
    assert len(model.calls) == 2 * wrap.n


async def test_agents_hand_off_to_each_other(
    wrap: Any, script: Any, calls: Callable[..., ChatMessage]
) -> None:
    hand_off = calls("handoff", "good", to_agent="Closer", reason="it is done")
    model = script([hand_off] * wrap.n + ["good bye"])
    agents: list[BaseWorkflowAgent] = [
        FunctionAgent(
            name="Opener", description="starts", llm=wrap(model.model()), can_handoff_to=["Closer"]
        ),
        FunctionAgent(name="Closer", description="ends", llm=wrap(model.model())),
    ]
    result: Any = await AgentWorkflow(agents=agents, root_agent="Opener").run("hello")
    assert (str(result), result.current_agent_name) == ("good bye", "Closer")
    assert len(model.calls) == 2 * wrap.n


def test_a_workflow_picks_the_agent_that_the_wrapped_model_can_serve(wrap: Any, script: Any) -> None:
    def picked(llm: LLM) -> type:
        (agent,) = AgentWorkflow.from_tools_or_functions([Adder().tool], llm=wrap(llm)).agents.values()
        return type(agent)

    assert picked(script(["good"]).model()) is FunctionAgent
    assert picked(MockLLM()) is ReActAgent


async def test_predict_and_call_runs_the_tool_once(
    wrap: Any, script: Any, calls: Callable[..., ChatMessage]
) -> None:
    adder = Adder()
    model = script([calls("add", a=1, b=2)])
    assert str(wrap(model.model()).predict_and_call([adder.tool], "1 + 2?")) == "3"
    assert str(await wrap(model.model()).apredict_and_call([adder.tool], "1 + 2?")) == "3"
    assert adder.ran == [(1, 2)] * 2
    assert len(model.calls) == 2 * wrap.n


async def test_predict_and_call_runs_the_winners_tools_only(
    best_of: Callable[[int], Any], script: Any, calls: Callable[..., ChatMessage]
) -> None:
    adder, both = Adder(), calls("add", "good", a=1, b=2)
    both.blocks += calls("add", a=3, b=4).blocks
    model = script([calls("add", "bad", a=9, b=9), both, calls("add", "bad", a=8, b=8)] * 2)
    llm: Any = AdaptiveLLM(llm=model.model(), middleware=best_of(3), max_concurrency=1)
    for response in (
        llm.predict_and_call([adder.tool], "1 + 2 and 3 + 4?", allow_parallel_tool_calls=True),
        await llm.apredict_and_call([adder.tool], "1 + 2 and 3 + 4?", allow_parallel_tool_calls=True),
    ):
        assert str(response) == "3\n\n7"
    assert adder.ran == [(1, 2), (3, 4)] * 2


async def test_predict_and_call_raises_and_answers_as_it_does_unwrapped(
    wrap: Any, script: Any, calls: Callable[..., ChatMessage]
) -> None:
    def fails(a: int) -> int:
        """Fail."""
        message = f"no {a}"
        raise ValueError(message)

    tool = FunctionTool.from_defaults(fails)
    llm = wrap(script([calls("fails", "good", a=1)]).model())
    with pytest.raises(ValueError, match="no 1"):
        llm.predict_and_call([tool], "?", error_on_tool_error=True)
    with pytest.raises(ValueError, match="no 1"):
        await llm.apredict_and_call([tool], "?", error_on_tool_error=True)
    plain = wrap(script(["good"]).model())
    assert str(plain.predict_and_call([tool], "?", error_on_no_tool_call=False)) == "good"
    assert str(await plain.apredict_and_call([tool], "?", error_on_no_tool_call=False)) == "good"


async def test_a_model_without_function_calling_calls_tools_by_reasoning(wrap: Any, texts: Any) -> None:
    adder = Adder()
    model = texts([REACT_CALL])
    parts = {"react_chat_formatter": ReActChatFormatter(), "output_parser": ReActOutputParser()}
    assert str(await wrap(model).apredict_and_call([adder.tool], "1 + 2?", **parts)) == "3"
    assert adder.ran == [(1, 2)]
    assert len(model.script.calls) == wrap.n


async def test_a_function_agent_refuses_a_model_without_function_calling(wrap: Any) -> None:
    agent = FunctionAgent(tools=[Adder().tool], llm=wrap(MockLLM()))
    with pytest.raises(ValueError, match="LLM must be a FunctionCallingLLM"):
        await agent.run("1 + 2?")


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_code_agent_runs_the_code_of_a_model_without_function_calling(
    wrap: Any, texts: Any, streaming: bool
) -> None:
    ran: list[str] = []

    def execute(code: str) -> str:
        ran.append(code.strip())
        return "3"

    model = texts(["good\n<execute>\nprint(1 + 2)\n</execute>"] * wrap.n + ["good: 3"])
    agent = CodeActAgent(code_execute_fn=execute, llm=wrap(model), streaming=streaming)
    assert str(await agent.run("1 + 2?")) == "good: 3"
    assert ran == ["print(1 + 2)"]
    assert len(model.script.calls) == 2 * wrap.n
