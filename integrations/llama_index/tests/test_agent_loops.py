"""Whole agent runs: what the losers of a turn proposed never happens, and at N=1 the model is asked as if unwrapped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.agent.workflow import (
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
)
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ToolCallBlock
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.workflow import Context, JsonSerializer
from pydantic import BaseModel
from workflows.errors import WorkflowCancelledByUser

from adaptive_middleware import Middleware
from adaptive_middleware.effects import Flow, Sample
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.types import Outcome, Path, Request
from llama_index_adaptive import AdaptiveLLM

# Warnings of LlamaIndex about itself: see test_agents.py; and of its context, that it does not keep the memory.
pytestmark = [
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The `__fields:pydantic.warnings.PydanticDeprecatedSince20:inspect"),
    pytest.mark.filterwarnings(
        "ignore:Accessing the 'model_:pydantic.warnings.PydanticDeprecatedSince211:inspect"
    ),
    pytest.mark.filterwarnings("ignore:Skipping serialization of known unserializable key"),
]
streamed_or_not = pytest.mark.parametrize("streaming", [True, False])
Best = Callable[[int], Middleware]
Calls = Callable[..., ChatMessage]


class Tools:
    """Two tools, and what ran."""

    def __init__(self) -> None:
        self.ran: list[tuple[Any, ...]] = []

    def add(self, a: int, b: int) -> int:
        """Add two numbers."""
        self.ran.append(("add", a, b))
        return a + b

    def deploy(self, where: str) -> str:
        """Deploy, which cannot be undone."""
        self.ran.append(("deploy", where))
        return "deployed"

    @property
    def all(self) -> list[Any]:
        return [self.add, self.deploy]


def memory() -> ChatMemoryBuffer:
    """LlamaIndex's other memory is a connection to SQLite, which does not outlive its event loop."""
    return ChatMemoryBuffer.from_defaults(token_limit=10_000)


def best_of_three(best_of: Best, model: Any) -> AdaptiveLLM:
    return AdaptiveLLM(llm=model, middleware=best_of(3), max_concurrency=1)


@streamed_or_not
async def test_every_tool_call_of_the_winner_runs_and_none_of_a_loser(
    best_of: Best, script: Any, calls: Calls, streaming: bool
) -> None:
    both = calls("add", "good", a=1, b=2)
    both.blocks += [block for block in calls("add", a=3, b=4).blocks if isinstance(block, ToolCallBlock)]
    losers = [calls("deploy", "bad", where="production"), calls("add", "bad", a=9, b=9)]
    tools, model = Tools(), script([losers[0], both, losers[1], "bad", "bad", "good: 10"])
    agent = FunctionAgent(tools=tools.all, llm=best_of_three(best_of, model.provider()), streaming=streaming)
    assert str(await agent.run("1 + 2 and 3 + 4?")) == "good: 10"
    assert sorted(tools.ran) == [("add", 1, 2), ("add", 3, 4)]
    told = [message for message in model.calls[3]["messages"] if message.role == "tool"]
    assert [message.content for message in told] == ["3", "7"]


async def test_the_stream_of_an_agent_shows_nothing_of_the_losers(
    best_of: Best, script: Any, calls: Calls
) -> None:
    first = [
        calls("add", "bad", a=9, b=9),
        calls("add", "good", a=1, b=2),
        calls("deploy", "bad", where="x"),
    ]
    model = script([*first, "bad: 18", "good: 3", "bad: 16"])
    agent = FunctionAgent(tools=Tools().all, llm=best_of_three(best_of, model.provider()))
    run = agent.run("1 + 2?")
    seen = [event async for event in run.stream_events() if isinstance(event, AgentStream)]
    assert [event.delta for event in seen] == ["good", "good: 3"]
    assert [[call.tool_kwargs for call in event.tool_calls] for event in seen] == [[{"a": 1, "b": 2}], []]
    assert str(await run) == "good: 3"


@streamed_or_not
async def test_an_agent_hands_off_to_whom_the_winner_names(
    best_of: Best, script: Any, calls: Calls, streaming: bool
) -> None:
    to = {
        name: calls("handoff", text, to_agent=name, reason="it is done")
        for name, text in (("Closer", "good"), ("Deployer", "bad"))
    }
    model = script([to["Deployer"], to["Closer"], to["Deployer"], "bad", "good bye", "bad"])
    tools, llm = Tools(), best_of_three(best_of, model.provider())
    agents: list[BaseWorkflowAgent] = [
        FunctionAgent(name=name, description=name, tools=tools.all, llm=llm, streaming=streaming)
        for name in ("Opener", "Closer", "Deployer")
    ]
    result: Any = await AgentWorkflow(agents=agents, root_agent="Opener").run("hello")
    assert (str(result), result.current_agent_name) == ("good bye", "Closer")
    assert len(model.calls) == 6


@streamed_or_not
async def test_a_reasoning_agent_runs_the_winners_action_only(
    best_of: Best, texts: Any, streaming: bool
) -> None:
    bad = 'Thought: bad.\nAction: deploy\nAction Input: {"where": "production"}'
    good = 'Thought: good.\nAction: add\nAction Input: {"a": 1, "b": 2}'
    end = "Thought: I can answer without using any more tools. {}\nAnswer: {}"
    model = texts([bad, bad, good, end.format("bad", 4), end.format("good", 3), end.format("bad", 5)])
    tools = Tools()
    agent = ReActAgent(tools=tools.all, llm=best_of_three(best_of, model), streaming=streaming)
    assert str(await agent.run("1 + 2?")) == "3"
    assert tools.ran == [("add", 1, 2)]


@streamed_or_not
async def test_a_code_agent_runs_the_winners_code_only(best_of: Best, script: Any, streaming: bool) -> None:
    code = "{}\n<execute>\n{}\n</execute>"
    samples = [code.format("bad", "rm()"), code.format("good", "print(3)"), code.format("bad", "ls()")]
    ran: list[str] = []

    def execute(code: str) -> str:
        ran.append(code)
        return "3"

    model = script([*samples, "bad: 4", "bad: 5", "good: 3"])
    llm = best_of_three(best_of, model.provider())
    agent = CodeActAgent(code_execute_fn=execute, llm=llm, streaming=streaming)
    assert str(await agent.run("1 + 2?")) == "good: 3"
    assert ran == ["print(3)"]


@streamed_or_not
async def test_code_and_reasoning_agents_hand_off_as_they_do_unwrapped(
    wrap: Any, script: Any, texts: Any, calls: Calls, streaming: bool
) -> None:
    def execute(code: str) -> str:
        return code

    action = 'Thought: good.\nAction: handoff\nAction Input: {"to_agent": "Closer", "reason": "done"}'
    end = "Thought: I can answer without using any more tools, good.\nAnswer: good bye"
    reasoning = wrap(texts([action] * wrap.n + [end]))
    coding = wrap(
        script([calls("handoff", "good", to_agent="Closer", reason="done")] * wrap.n + [end]).model()
    )
    for opener in (
        ReActAgent(name="Opener", description="starts", llm=reasoning, streaming=streaming),
        CodeActAgent(execute, name="Opener", description="starts", llm=coding, streaming=streaming),
    ):
        closer = ReActAgent(name="Closer", description="ends", llm=opener.llm, streaming=streaming)
        result: Any = await AgentWorkflow(agents=[opener, closer], root_agent="Opener").run("hello")
        assert (str(result), result.current_agent_name) == ("good bye", "Closer")


async def test_a_code_agent_around_a_text_model_cannot_hand_off_and_says_why(wrap: Any, texts: Any) -> None:
    def execute(code: str) -> str:
        return code

    llm = wrap(texts(["good"]))
    coder = CodeActAgent(execute, name="Coder", description="codes", llm=llm)
    other = ReActAgent(name="Other", description="reasons", llm=llm)
    with pytest.raises((ValueError, ConfigError), match=r"function calling LLM|not a FunctionCallingLLM"):
        await AgentWorkflow(agents=[coder, other], root_agent="Coder").run("hello")


class Person(BaseModel):
    """A person."""

    name: str


async def test_an_agent_with_an_output_class_fills_it(wrap: Any, script: Any, calls: Calls) -> None:
    model = script(["good: Ada"] * wrap.n + [calls("Person", "good", name="Ada")])
    agent = FunctionAgent(tools=Tools().all, llm=wrap(model.model()), output_cls=Person)
    result: Any = await agent.run("Who?")
    assert (str(result), result.structured_response) == ("good: Ada", {"name": "Ada"})
    assert len(model.calls) == 2 * wrap.n


async def test_a_run_goes_on_from_its_context_and_from_the_context_as_json(
    wrap: Any, script: Any, calls: Calls
) -> None:
    tools, model = Tools(), script([calls("add", "good", a=1, b=2)] * wrap.n + ["good: 3"])
    agent = FunctionAgent(tools=tools.all, llm=wrap(model.provider()))
    context = Context(agent)
    await agent.run("1 + 2?", ctx=context)
    saved = json.loads(json.dumps(context.to_dict(serializer=JsonSerializer())))
    again = Context.from_dict(agent, saved, serializer=JsonSerializer())
    for resumed in (context, again):
        assert str(await agent.run("Sure?", ctx=resumed)) == "good: 3"
    assert tools.ran == [("add", 1, 2)]


@streamed_or_not
async def test_odd_tool_calls_end_as_they_do_unwrapped(
    wrap: Any, script: Any, calls: Calls, streaming: bool
) -> None:
    cut = ChatMessage("good", role="assistant")
    cut.blocks.append(ToolCallBlock(tool_call_id="1", tool_name="add", tool_kwargs='{"a": 1, "b": '))
    twice = calls("add", "good", a=1, b=2)
    twice.blocks += [twice.blocks[-1]]
    ends: list[tuple[ChatMessage, list[Any]]] = [
        (cut, [("add", 1, None)]),  # LlamaIndex reads what there is of the JSON; the tool then fails
        (calls("nobody", "good", a=1), []),
        (twice, [("add", 1, 2)] * 2),
    ]
    for odd, ran in ends:
        tools, model = Tools(), script([odd] * wrap.n + ["good end"])
        agent = FunctionAgent(tools=tools.all, llm=wrap(model.model()), streaming=streaming)
        assert str(await agent.run("?")) == "good end"
        assert tools.ran == ran
        assert len(model.calls) == 2 * wrap.n


@streamed_or_not
async def test_a_model_that_is_down_ends_a_run_with_its_own_error(
    wrap: Any, script: Any, streaming: bool
) -> None:
    class Down(Exception):
        pass

    agent = FunctionAgent(tools=Tools().all, llm=wrap(script([Down("503")]).model()), streaming=streaming)
    with pytest.raises(Down, match="503"):
        await agent.run("?")


def test_one_model_serves_agents_in_several_event_loops_at_once(
    best_of: Best, script: Any, calls: Calls
) -> None:
    llm = AdaptiveLLM(llm=script(["good"]).provider(), middleware=best_of(3))

    async def run() -> str:
        return str(await FunctionAgent(tools=Tools().all, llm=llm).run("?", memory=memory()))

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(asyncio.to_thread(asyncio.run, run()) for _ in range(3)))

    assert asyncio.run(all_of_them()) == ["good"] * 3


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
PROPOSED = st.tuples(
    st.sampled_from(["add", "deploy", "nobody"]),
    st.dictionaries(st.sampled_from(["a", "b", "where"]), VALUES, max_size=3),
)
TURNS = st.lists(
    st.tuples(st.text("good \n", max_size=6), st.lists(PROPOSED, min_size=1, max_size=3)), max_size=4
)


def turn(number: int, text: str, proposed: Sequence[tuple[str, dict[str, Any]]]) -> ChatMessage:
    message = ChatMessage(text or None, role="assistant")
    message.blocks += [
        ToolCallBlock(tool_call_id=f"{number}.{i}", tool_name=name, tool_kwargs=arguments)
        for i, (name, arguments) in enumerate(proposed)
    ]
    return message


def in_order(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """The messages with the results of each turn by their ids: tools of one turn run, and end, in any order."""
    ordered: list[ChatMessage] = []
    for _, group in groupby(messages, lambda message: message.role == "tool"):
        ordered += sorted(group, key=lambda one: one.additional_kwargs.get("tool_call_id", ""))
    return ordered


@given(turns=TURNS, streaming=st.booleans())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_model_is_asked_in_an_agents_conversation_as_if_it_were_not_wrapped(
    best_of: Best, script: Any, turns: list[Any], streaming: bool
) -> None:
    async def asked(wrapped: Callable[[Any], Any], n: int = 1) -> list[str]:
        answers = [turn(i, *proposed) for i, proposed in enumerate(turns)]
        model = script([answer for answer in (*answers, "good end") for _ in range(n)])
        agent = FunctionAgent(
            tools=Tools().all, llm=wrapped(model.model()), streaming=streaming, system_prompt="Be brief."
        )
        assert str(await agent.run("?", memory=memory())) == "good end"
        return [
            json.dumps([message.model_dump(mode="json") for message in in_order(call["messages"])])
            + str([tool.metadata.to_openai_tool() for tool in call["tools"]])
            for call in model.calls
        ]

    bare = asyncio.run(asked(lambda llm: llm))
    assert asyncio.run(asked(lambda llm: AdaptiveLLM(llm=llm))) == bare
    best = asyncio.run(asked(lambda llm: AdaptiveLLM(llm=llm, middleware=best_of(2)), 2))
    assert best == [call for call in bare for _ in range(2)]


@streamed_or_not
async def test_an_agent_sees_what_a_strategy_says_instead_of_calling_a_tool(
    script: Any, calls: Calls, streaming: bool
) -> None:
    words = "No tool was called: it is not certain enough. Ask a person."

    def withholds(request: Request) -> Flow[Outcome]:
        yield from Sample(request, 2)
        return Outcome(Path((words,), done=False, finish_reason="stop"), limit=2)

    tools, model = Tools(), script([calls("deploy", "good", where="production")])
    llm = AdaptiveLLM(llm=model.provider(), middleware=Middleware(withholds))
    run = FunctionAgent(tools=tools.all, llm=llm, streaming=streaming).run("?")
    deltas = [event.delta async for event in run.stream_events() if isinstance(event, AgentStream)]
    assert str(await run) == words
    assert (tools.ran, deltas) == ([], [words] if streaming else [])


class Hangs(MockFunctionCallingLLM):
    """Answers never; says how many calls are under way."""

    _under_way: list[int] = PrivateAttr(default_factory=lambda: [0])

    @property
    def under_way(self) -> int:
        return self._under_way[0]

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        self._under_way[0] += 1
        try:
            await asyncio.sleep(60)
        finally:
            self._under_way[0] -= 1
        raise AssertionError


@streamed_or_not
async def test_a_cancelled_run_ends_all_model_calls_of_its_turn(best_of: Best, streaming: bool) -> None:
    model = Hangs()
    agent = FunctionAgent(
        tools=Tools().all, llm=AdaptiveLLM(llm=model, middleware=best_of(3)), streaming=streaming
    )
    run = agent.run("?")
    await reached(lambda: model.under_way == 3)
    await run.cancel_run()
    await reached(lambda: model.under_way == 0)
    with pytest.raises(WorkflowCancelledByUser):
        await run


async def reached(there: Callable[[], bool]) -> None:
    for _ in range(1000):
        if there():
            return
        await asyncio.sleep(0.005)
    raise AssertionError
