"""AdaptiveComputeMiddleware in `create_agent`: the user, the tools and the state see one answer for each call."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import openai
import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, wrap_model_call
from langchain.agents.middleware.types import ExtendedModelResponse, ModelRequest, ModelResponse
from langchain.agents.structured_output import ToolStrategy
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained
from langgraph.types import interrupt
from pydantic import BaseModel, Field

import langchain_adaptive
from adaptive_middleware import Middleware, Path, Rule, best_of_n, fixed
from adaptive_middleware.effects import Flow, Sample
from adaptive_middleware.errors import ConfigError, SamplerError
from adaptive_middleware.strategies.effort import Rung, effort
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.types import Candidate, Choice, Outcome, Request
from langchain_adaptive import AdaptiveComputeMiddleware

Chat = Callable[..., ChatOpenAI]
DOUBLE_TEN: dict[str, Any] = {"messages": [("user", "Double 10")]}


def the_last(candidates: Sequence[Candidate]) -> Choice:
    return Choice(len(candidates) - 1, None, "last")


THREE = best_of_n(fixed(3), max_samples=3, score=False, select=the_last)


def three(**fields: Any) -> AdaptiveComputeMiddleware:
    return AdaptiveComputeMiddleware(Middleware(THREE), **fields)


class Doubling:
    """A tool that doubles, and the numbers it was given."""

    def __init__(self) -> None:
        @tool
        def double(number: int) -> int:
            """Double a number."""
            self.given.append(number)
            return 2 * number

        self.given: list[int] = []
        self.tool = double


@pytest.fixture
def doubling() -> Doubling:
    return Doubling()


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Call an agent by either hook."""

    async def asked(agent: Any, question: object, config: Any = None) -> dict[str, Any]:
        if request.param == "async":
            return dict(await agent.ainvoke(question, config))
        return dict(agent.invoke(question, config))

    return asked


async def test_only_the_winners_tool_call_runs(
    server: Server, chat: Chat, doubling: Doubling, ask: Callable[..., Any]
) -> None:
    agent = create_agent(chat("split"), [doubling.tool], middleware=[three(max_concurrency=1)])
    state = await ask(agent, DOUBLE_TEN)
    _, call, result, answer = state["messages"]
    assert [each["args"] for each in call.tool_calls] == [{"number": 12}]  # 10, 11 and 12 were proposed
    assert (doubling.given, result.content, answer.content) == ([12], "24", "The tool says 24.")
    assert [body["messages"][-1]["content"] for body in server.calls] == ["Double 10"] * 3 + ["24"] * 3


async def test_spend_and_difficulty_of_all_calls_add_up_in_the_state(
    server: Server, chat: Chat, doubling: Doubling, ask: Callable[..., Any]
) -> None:
    scorer = TableScorer(lambda path: [0.25] if not path.steps else [0.5] * len(path.steps))
    sampled = Rule("first", best_of_n(fixed(3), max_samples=3), when=lambda r: len(r.messages) == 1)
    ours = AdaptiveComputeMiddleware(Middleware(rules=[sampled], scorer=scorer))
    state = await ask(create_agent(chat(), [doubling.tool], middleware=[ours]), DOUBLE_TEN)
    whole = UsageMetadataCallbackHandler()
    await ask(create_agent(chat(), [doubling.tool], middleware=[ours]), DOUBLE_TEN, {"callbacks": [whole]})
    billed = whole.usage_metadata["fake+constant"]
    spent = state["adaptive_spend"]
    assert (spent["calls"], spent["samples"], spent["requests"], len(server.calls)) == (2, 4, 4, 8)
    assert (spent["prompt_tokens"], spent["completion_tokens"]) == (
        billed["input_tokens"],
        billed["output_tokens"],
    )
    assert spent["prm_tokens"] == sum(len(path.text.split()) for batch in scorer.seen for path in batch) / 2
    assert state["adaptive_difficulty"] == [pytest.approx(0.75), None]


async def test_without_a_scored_question_the_answers_say_how_hard_a_call_was(chat: Chat) -> None:
    strategy = best_of_n(fixed(2), max_samples=2, score_question=False)
    ours = AdaptiveComputeMiddleware(Middleware(strategy, scorer=TableScorer(0.3)))
    agent: Any = create_agent(chat(), [], middleware=[ours])
    state = agent.invoke(DOUBLE_TEN)
    assert state["adaptive_difficulty"] == [pytest.approx(0.7)]


async def test_the_state_goes_on_where_a_checkpointer_left_it(
    chat: Chat, doubling: Doubling, ask: Callable[..., Any]
) -> None:
    saved: Any = InMemorySaver()
    thread = {"configurable": {"thread_id": "1"}}
    for turns in (2, 4):  # a new agent, as after a restart
        agent = create_agent(chat(), [doubling.tool], middleware=[three()], checkpointer=saved)
        state = await ask(agent, DOUBLE_TEN, thread)
        assert (state["adaptive_spend"]["calls"], state["adaptive_spend"]["samples"]) == (turns, 3 * turns)
        assert state["adaptive_difficulty"] == [None] * turns


def test_users_of_a_streaming_agent_see_the_winner_only(chat: Chat, doubling: Doubling) -> None:
    agent: Any = create_agent(chat("split"), [doubling.tool], middleware=[three(max_concurrency=1)])
    seen: list[Any] = [message for message, _ in agent.stream(DOUBLE_TEN, stream_mode="messages")]
    assert [[c["args"] for c in m.tool_calls] for m in seen if isinstance(m, AIMessage)] == [
        [{"number": 12}],
        [],
    ]
    assert [m.content for m in seen] == ["", "24", "The tool says 24."]


async def test_astreams_see_the_winner_only(chat: Chat, doubling: Doubling) -> None:
    agent: Any = create_agent(chat("split"), [doubling.tool], middleware=[three(max_concurrency=1)])
    seen = [message async for message, _ in agent.astream(DOUBLE_TEN, stream_mode="messages")]
    assert len(seen) == 3


def test_a_fallback_model_inside_us_is_not_seen_either(server: Server, chat: Chat) -> None:
    """Whichever model answers a sample: an inner middleware may have put another one in."""

    @wrap_model_call
    def elsewhere(request: ModelRequest[Any], handler: Callable[..., Any]) -> Any:
        return handler(request.override(model=chat("arithmetic")))

    agent: Any = create_agent(chat(), [], middleware=[three(), elsewhere])
    seen = [m for m, _ in agent.stream({"messages": [HumanMessage("1 + 1")]}, stream_mode="messages")]
    assert [m.content for m in seen] == ["1 + 1 = 2\nThe answer is 2."]
    assert len(server.calls) == 3


def test_a_call_that_is_passed_through_streams_live(chat: Chat) -> None:
    agent: Any = create_agent(chat(), [], middleware=[AdaptiveComputeMiddleware(Middleware())])
    bare: Any = create_agent(chat(), [])
    seen, expected = (
        [m.content for m, _ in one.stream(DOUBLE_TEN, stream_mode="messages")] for one in (agent, bare)
    )
    assert seen == expected
    assert len([word for word in seen if word]) == 4
    assert all(isinstance(m, AIMessageChunk) for m, _ in agent.stream(DOUBLE_TEN, stream_mode="messages"))


async def test_a_call_that_is_passed_through_reaches_the_model_untouched(
    chat: Chat, doubling: Doubling, server: Server, ask: Callable[..., Any]
) -> None:
    seen: list[ModelRequest[Any]] = []

    class Watch(AgentMiddleware[Any, Any]):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            seen.append(request)
            return handler(request)

        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            seen.append(request)
            return await handler(request)

    class Above(Watch):
        pass

    ours = AdaptiveComputeMiddleware(Middleware())
    state = await ask(create_agent(chat(), [doubling.tool], middleware=[Above(), ours, Watch()]), DOUBLE_TEN)
    bare = await ask(create_agent(chat(), [doubling.tool]), DOUBLE_TEN)
    assert [seen[0] is seen[1], seen[2] is seen[3]] == [True, True]
    assert server.calls[:2] == server.calls[2:]
    assert [m.content for m in state["messages"]] == [m.content for m in bare["messages"]]
    assert all("adaptive" not in m.response_metadata for m in state["messages"])


async def test_callbacks_count_all_samples_and_the_message_its_own(
    chat: Chat, ask: Callable[..., Any]
) -> None:
    """The message's usage is the size of that answer: summarization and context editing read it so."""
    one = chat().invoke("Double 10").usage_metadata
    handler = UsageMetadataCallbackHandler()
    agent = create_agent(chat(), [], middleware=[three()])
    state = await ask(agent, DOUBLE_TEN, {"callbacks": [handler]})
    assert one is not None
    assert state["messages"][-1].usage_metadata == one
    assert handler.usage_metadata["fake+constant"]["total_tokens"] == 3 * one["total_tokens"]


async def test_a_global_cache_never_makes_the_samples_one(
    server: Server, chat: Chat, ask: Callable[..., Any]
) -> None:
    set_llm_cache(InMemoryCache())
    try:
        model = chat("split")
        state = await ask(create_agent(model, [], middleware=[three()]), DOUBLE_TEN)
        assert len(server.calls) == 3
        assert state["adaptive_spend"]["samples"] == 3
        assert model.cache is None
        plain = create_agent(model, [], middleware=[AdaptiveComputeMiddleware(Middleware())])
        await ask(plain, DOUBLE_TEN)
        await ask(plain, DOUBLE_TEN)
        assert len(server.calls) == 4  # what is passed through is cached as ever
    finally:
        set_llm_cache(None)


async def test_the_report_is_on_the_chosen_message(chat: Chat, ask: Callable[..., Any]) -> None:
    state = await ask(create_agent(chat("split"), [], middleware=[three()]), DOUBLE_TEN)
    report = state["messages"][-1].response_metadata["adaptive"]
    assert (report["samples"], report["chosen"], report["selected_by"]) == (3, 2, "last")


async def test_a_signal_of_the_graph_leaves_as_it_came(chat: Chat, ask: Callable[..., Any]) -> None:
    """Even when other samples had an answer, and without drawing any more."""
    signal, asked = GraphDrained("stopping"), list[int]()

    class Draining(AgentMiddleware[Any, Any]):
        def _drain(self) -> None:
            asked.append(1)
            if len(asked) == 2:
                raise signal

        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            self._drain()
            return handler(request)

        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            self._drain()
            return await handler(request)

    patient = best_of_n(lambda state: 1, max_samples=5, score=False)
    ours = AdaptiveComputeMiddleware(Middleware(patient), max_concurrency=1)
    agent = create_agent(chat(), [], middleware=[ours, Draining()])
    with pytest.raises(GraphDrained) as caught:
        await ask(agent, DOUBLE_TEN)
    assert caught.value is signal
    assert len(asked) == 2


def test_an_interrupt_inside_a_sample_stops_the_agent(chat: Chat, server: Server) -> None:
    @wrap_model_call
    def asking(request: ModelRequest[Any], handler: Callable[..., Any]) -> Any:
        assert interrupt("may I?") == "yes"
        return handler(request)

    saved: Any = InMemorySaver()
    agent: Any = create_agent(chat(), [], middleware=[three(max_concurrency=1), asking], checkpointer=saved)
    thread: Any = {"configurable": {"thread_id": "1"}}
    paused = agent.invoke(DOUBLE_TEN, thread)
    assert [each.value for each in paused["__interrupt__"]] == ["may I?"]
    assert server.calls == []


class Weather(BaseModel):
    """The weather."""

    degrees: int = Field(le=11)


async def test_a_structured_answer_is_chosen_with_all_its_messages(
    chat: Chat, server: Server, ask: Callable[..., Any]
) -> None:
    agent = create_agent(
        chat("split"), [], middleware=[three(max_concurrency=1)], response_format=ToolStrategy(Weather)
    )
    state = await ask(agent, {"messages": [HumanMessage("It has 9 degrees")]})
    assert state["structured_response"] == Weather(degrees=11)  # 9, 10 and 11 were proposed
    _, call, told = state["messages"]
    assert call.response_metadata["adaptive"]["samples"] == len(server.calls) == 3
    assert (told.tool_call_id, told.content) == (
        call.tool_calls[0]["id"],
        "Returning structured response: degrees=11",
    )


async def test_a_structured_answer_that_does_not_fit_never_wins_over_one_that_does(
    chat: Chat, server: Server, ask: Callable[..., Any]
) -> None:
    agent = create_agent(
        chat("split"), [], middleware=[three(max_concurrency=1)], response_format=ToolStrategy(Weather)
    )
    state = await ask(agent, {"messages": [HumanMessage("It has 10 degrees")]})
    assert state["structured_response"] == Weather(degrees=11)  # 12 was the last
    (cause,) = state["messages"][1].response_metadata["adaptive"]["degraded"]
    assert cause == "sample failed: the structured answer did not fit its schema"
    assert len(server.calls) == 3


async def test_where_no_structured_answer_fits_the_agent_repairs_it_as_ever(ask: Callable[..., Any]) -> None:
    answers: Iterator[AIMessage] = iter(
        AIMessage("", tool_calls=[{"name": "Weather", "args": {"degrees": d}, "id": str(k)}])
        for k, d in enumerate([50, 60, 70, 8, 9, 10])
    )

    class Scripted(GenericFakeChatModel):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self

    agent = create_agent(
        Scripted(messages=answers),
        [],
        middleware=[three(max_concurrency=1)],
        response_format=ToolStrategy(Weather),
    )
    state = await ask(agent, {"messages": [HumanMessage("It has 50 degrees")]})
    _, wrong, repair, right, _ = state["messages"]
    assert wrong.tool_calls[0]["args"] == {"degrees": 50}
    assert isinstance(repair, ToolMessage)
    assert "less than or equal to 11" in str(repair.content)
    assert (right.tool_calls[0]["args"], state["structured_response"]) == (
        {"degrees": 10},
        Weather(degrees=10),
    )
    assert (state["adaptive_spend"]["calls"], state["adaptive_spend"]["samples"]) == (2, 6)


async def test_when_all_samples_fail_the_agents_caller_sees_the_models_own_error(
    chat: Chat, ask: Callable[..., Any]
) -> None:
    agent = create_agent(chat("fail"), [], middleware=[three()])
    with pytest.raises(openai.InternalServerError, match="asked for a failure"):
        await ask(agent, DOUBLE_TEN)


async def test_one_failed_sample_does_not_fail_the_call(chat: Chat, ask: Callable[..., Any]) -> None:
    state = await ask(create_agent(chat("constant+fail=3"), [], middleware=[three()]), DOUBLE_TEN)
    assert state["messages"][-1].content == "The answer is 42."
    assert state["adaptive_spend"]["samples"] == 3


async def test_a_strategys_parameters_go_with_the_model_settings(
    chat: Chat, server: Server, ask: Callable[..., Any]
) -> None:
    rungs = (Rung("low", parameters={"temperature": 0.1}), Rung("high", parameters={"temperature": 0.9}))
    ours = AdaptiveComputeMiddleware(
        Middleware(effort(rungs, judge="answer", target=0.9), scorer=TableScorer(0.5))
    )

    class Seeded(AgentMiddleware[Any, Any]):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            return handler(request.override(model_settings={"seed": 7}))

        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            return await handler(request.override(model_settings={"seed": 7}))

    await ask(create_agent(chat(), [], middleware=[Seeded(), ours]), DOUBLE_TEN)
    assert [(body["seed"], body["temperature"]) for body in server.calls] == [(7, 0.1), (7, 0.9)]


def made_up(request: Request) -> Flow[Outcome]:
    yield from Sample(request, 1)
    return Outcome(chosen=Path(("made up",)))


def test_a_path_that_was_not_drawn_is_refused(chat: Chat) -> None:
    agent: Any = create_agent(chat(), [], middleware=[AdaptiveComputeMiddleware(Middleware(made_up))])
    with pytest.raises(SamplerError, match="whose raw is None, not a response"):
        agent.invoke(DOUBLE_TEN)


@pytest.mark.parametrize("middleware", [Middleware(), Middleware(THREE)])
def test_a_handler_without_an_answer(chat: Chat, middleware: Middleware) -> None:
    """Nothing is lost of what is passed through; there is nothing to choose from otherwise."""
    ours = AdaptiveComputeMiddleware(middleware)
    request: ModelRequest[Any] = ModelRequest(model=chat(), messages=[HumanMessage("Hi")])
    silent: ModelResponse[Any] = ModelResponse(result=[ToolMessage("nothing", tool_call_id="1")])
    if middleware.rule(Request("Hi")).passes_through:
        answer = ours.wrap_model_call(request, lambda _: silent)
        assert isinstance(answer, ExtendedModelResponse)
        assert answer.model_response is silent
    else:
        with pytest.raises(SamplerError, match="returned no AIMessage"):
            ours.wrap_model_call(request, lambda _: silent)


async def test_rules_see_the_agents_node_tags_tools_and_settings(
    server: Server, chat: Chat, doubling: Doubling, ask: Callable[..., Any]
) -> None:
    seen: list[Request] = []

    def when(request: Request) -> bool:
        seen.append(request)
        return "careful" in request.tags and request.call_site == "model"

    ours = AdaptiveComputeMiddleware(Middleware(rules=[Rule("careful", THREE, when=when)]))
    agent = create_agent(chat(tags=["theirs"]), [doubling.tool], middleware=[ours])
    await ask(agent, DOUBLE_TEN, {"tags": ["careful"]})
    assert len(server.calls) == 6
    first = seen[0]
    assert (first.text, first.model, first.tags) == (
        "Double 10",
        "fake+constant",
        frozenset({"careful", "theirs"}),
    )
    assert list(first.tools) == server.calls[0]["tools"]
    assert list(first.tools[:1]) == [first.tools[0]]
    assert first.parameters == {}


@pytest.mark.parametrize("wanted", [Weather, ToolStrategy(Weather)])
def test_a_structured_answer_counts_among_the_tools_that_may_be_called(
    chat: Chat, server: Server, wanted: Any
) -> None:
    seen: list[Request] = []
    rule = Rule("watched", THREE, when=lambda r: bool(seen.append(r)))  # type: ignore[func-returns-value]
    ours = AdaptiveComputeMiddleware(Middleware(rules=[rule]))
    agent: Any = create_agent(chat(), [], middleware=[ours], response_format=wanted)
    agent.invoke({"messages": [("user", "It has 9 degrees")]})
    assert [form["function"]["name"] for form in seen[0].tools] == ["Weather"]  # type: ignore[index]
    assert list(seen[0].tools) == server.calls[0]["tools"]


def test_the_configuration_of_the_core_builds_it(chat: Chat) -> None:
    policy = {"kind": "fixed", "n": 2}
    config = {
        "version": 1,
        "policies": {"default": {"strategy": "best-of-n", "policy": policy, "max_samples": 2}},
    }
    ours = AdaptiveComputeMiddleware.from_config(config, max_concurrency=2)
    agent: Any = create_agent(chat(), [], middleware=[ours])
    state = agent.invoke(DOUBLE_TEN)
    assert (state["adaptive_spend"]["samples"], ours.max_concurrency) == (2, 2)


def test_wrong_fields_are_refused() -> None:
    with pytest.raises(ConfigError, match="max_concurrency is 0"):
        AdaptiveComputeMiddleware(Middleware(), max_concurrency=0)


async def test_at_most_max_concurrency_samples_are_under_way(
    server: Server, chat: Chat, ask: Callable[..., Any]
) -> None:
    ours = AdaptiveComputeMiddleware(
        Middleware(best_of_n(fixed(4), max_samples=4, score=False)), max_concurrency=2
    )
    await ask(create_agent(chat("delay=100"), [], middleware=[ours]), DOUBLE_TEN)
    assert (server.peak, server.choices) == (2, 4)


ALONE = """
import sys
sys.modules["langchain"] = sys.modules["langgraph"] = None
import langchain_adaptive
langchain_adaptive.AdaptiveChatModel
try:
    langchain_adaptive.AdaptiveComputeMiddleware
except ModuleNotFoundError as error:
    print(error)
"""


def test_the_package_needs_langchain_core_alone() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "AdaptiveComputeMiddleware needs langchain: pip install 'langchain>=1.4'"
    with pytest.raises(AttributeError, match="no attribute 'Adaptive'"):
        _ = langchain_adaptive.Adaptive


def test_a_model_that_is_chosen_at_the_call_is_sampled_too(chat: Chat) -> None:
    """`init_chat_model` with configurable fields gives such models: they are no chat models themselves."""
    chosen: Any = chat().configurable_alternatives(
        ConfigurableField("which"), default_key="this", that=chat()
    )
    request: ModelRequest[Any] = ModelRequest(model=chosen, messages=[HumanMessage("Hi")])
    answer = three().wrap_model_call(
        request, lambda asked: ModelResponse(result=[asked.model.invoke(asked.messages)])
    )
    command: Any = answer.command
    assert command.update["adaptive_spend"]["samples"] == 3


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain_adaptive.agent", None)
    with pytest.raises(ModuleNotFoundError, match="needs langchain: pip install"):
        _ = langchain_adaptive.AdaptiveComputeMiddleware


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol on Pregel is experimental")
@pytest.mark.parametrize(("ours", "pieces"), [(three(max_concurrency=1), 1), (None, 4)])
def test_messages_of_a_v3_run_are_those_of_the_winner(
    chat: Chat, ours: AdaptiveComputeMiddleware | None, pieces: int
) -> None:
    stack = [ours or AdaptiveComputeMiddleware(Middleware())]
    agent: Any = create_agent(chat(), [], middleware=stack)
    run = agent.stream_events(DOUBLE_TEN, version="v3")
    texts = [[piece for piece in message.text if piece] for message in run.messages]
    assert ["".join(each) for each in texts] == ["The answer is 42."]
    assert len(texts[0]) == pieces


async def test_a_cancelled_agent_leaves_no_request_behind(server: Server, chat: Chat) -> None:
    agent: Any = create_agent(chat("delay=100000"), [], middleware=[three()])
    call = asyncio.create_task(agent.ainvoke(DOUBLE_TEN))
    await _until(lambda: server.in_flight == 3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await _until(lambda: server.abandoned == 3)


async def test_at_a_rules_deadline_the_finished_samples_decide(chat: Chat) -> None:
    """A sample that hangs is given up; the agent goes on."""
    asked: list[int] = []

    @wrap_model_call
    async def hanging(request: ModelRequest[Any], handler: Callable[..., Any]) -> Any:
        asked.append(1)
        if len(asked) == 3:
            await asyncio.Event().wait()
        return await handler(request)

    rule = Rule("hurry", best_of_n(fixed(3), max_samples=3, score=False), seconds=1.0)
    agent: Any = create_agent(
        chat(), [], middleware=[AdaptiveComputeMiddleware(Middleware(rules=[rule])), hanging]
    )
    report = (await agent.ainvoke(DOUBLE_TEN))["messages"][-1].response_metadata["adaptive"]
    assert (report["samples"], len(report["candidates"])) == (3, 2)
    assert any("DeadlineExceeded" in cause for cause in report["degraded"])


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the condition is another thread's
            await asyncio.sleep(0.005)
