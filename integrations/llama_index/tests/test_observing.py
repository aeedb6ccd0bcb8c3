"""What observers see of a call: one span, and below it every model call with one pair of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.tools import FunctionTool
from llama_index_instrumentation import get_dispatcher
from pydantic import BaseModel

from adaptive_middleware import Middleware
from adaptive_middleware.effects import Begin, Flow, Follow, Sample
from adaptive_middleware.types import Outcome, Request
from llama_index_adaptive import AdaptiveEvent, AdaptiveLLM

HELLO = [ChatMessage("hello")]
STARTS_AND_ENDS = {
    "LLMChatStartEvent",
    "LLMChatEndEvent",
    "LLMCompletionStartEvent",
    "LLMCompletionEndEvent",
}


class Watch(BaseEventHandler):
    """All events and, by their names, the parents of all spans."""

    events: list[Any] = []  # noqa: RUF012 - pydantic copies it
    spans: SimpleSpanHandler = SimpleSpanHandler()

    def handle(self, event: Any, **_: Any) -> None:
        self.events.append(event)

    def parents(self) -> dict[str, str | None]:
        return {span.id_: span.parent_id for span in self.spans.completed_spans}

    def below(self, parent: str | None) -> list[str]:
        return [span for span, above in self.parents().items() if above == parent]

    def told(self, span: str) -> list[str]:
        names = [type(event).__name__ for event in self.events if event.span_id == span]
        return sorted(name for name in names if name in STARTS_AND_ENDS)

    def decided(self) -> list[str | None]:
        return [event.span_id for event in self.events if isinstance(event, AdaptiveEvent)]


@pytest.fixture(name="watch")
def _watch() -> Iterator[Watch]:
    root, watch = get_dispatcher(), Watch(spans=SimpleSpanHandler())
    root.add_event_handler(watch)
    root.add_span_handler(watch.spans)
    yield watch
    root.event_handlers.remove(watch)
    root.span_handlers.remove(watch.spans)


WAYS: dict[str, Callable[[Any], Any]] = {
    "chat": lambda llm: llm.chat(HELLO),
    "achat": lambda llm: llm.achat(HELLO),
    "stream_chat": lambda llm: list(llm.stream_chat(HELLO)),
    "astream_chat": lambda llm: every(llm.astream_chat(HELLO)),
    "complete": lambda llm: llm.complete("hello"),
    "acomplete": lambda llm: llm.acomplete("hello"),
    "stream_complete": lambda llm: list(llm.stream_complete("hello")),
    "astream_complete": lambda llm: every(llm.astream_complete("hello")),
}
ways = pytest.mark.parametrize("way", WAYS)


async def every(stream: Any) -> list[Any]:
    return [response async for response in await stream]


async def called(llm: Any, way: str) -> None:
    got = WAYS[way](llm)
    if way.startswith("a"):
        await got


def pair(way: str) -> list[str]:
    kind = "Chat" if "chat" in way else "Completion"
    return [f"LLM{kind}EndEvent", f"LLM{kind}StartEvent"]


@ways
async def test_a_call_is_one_span_and_every_model_call_below_it_one_pair_of_events(
    way: str, best_of: Callable[[int], Middleware], script: Any, watch: Watch
) -> None:
    await called(AdaptiveLLM(llm=script(["good"]).provider(), middleware=best_of(3)), way)
    (call,) = watch.below(None)
    assert call.startswith(f"AdaptiveLLM.{way}-")
    assert watch.told(call) == []
    samples = watch.below(call)
    assert len(samples) == len(watch.parents()) - 1 == 3
    assert [watch.told(sample) for sample in samples] == [pair(way)] * 3
    assert watch.decided() == [call]


@ways
async def test_a_call_that_passes_through_adds_a_span_and_no_event(
    way: str, script: Any, watch: Watch
) -> None:
    await called(AdaptiveLLM(llm=script(["good"]).provider()), way)
    (call,) = watch.below(None)
    (sample,) = watch.below(call)
    assert (watch.told(call), watch.told(sample), watch.decided()) == ([], pair(way), [])


def follows_and_looks_again(request: Request) -> Flow[Outcome]:
    (path,) = yield from Begin(request, 1)
    path = yield from Follow(request, path)
    yield from Sample(request, 2)
    return Outcome(chosen=path, limit=3)


@ways
async def test_model_calls_that_a_stream_makes_late_belong_to_its_call(
    way: str, script: Any, watch: Watch
) -> None:
    llm = AdaptiveLLM(llm=script(["good"]).provider(), middleware=Middleware(follows_and_looks_again))
    await called(llm, way)
    (call,) = watch.below(None)
    assert [watch.told(sample) for sample in watch.below(call)] == [pair(way)] * 3
    assert watch.decided() == [call]


async def test_a_callers_own_span_is_as_it_was_between_the_responses_of_a_stream(
    script: Any, watch: Watch
) -> None:
    llm = AdaptiveLLM(llm=script(["good"]).provider(), middleware=Middleware(follows_and_looks_again))
    seen: list[str | None] = []

    @get_dispatcher().span
    def blocking() -> None:
        seen.extend(AdaptiveEvent(report={}).span_id for _ in llm.stream_chat(HELLO))

    @get_dispatcher().span
    async def waiting() -> None:
        seen.extend([AdaptiveEvent(report={}).span_id async for _ in await llm.astream_chat(HELLO)])

    blocking()
    await waiting()
    outer = watch.below(None)
    assert seen == [outer[0]] * 2 + [outer[1]] * 2
    assert [len(watch.below(span)) for span in outer] == [1, 1]


# warnings of LlamaIndex about itself: see test_agents.py
@pytest.mark.filterwarnings("ignore:The `__fields:pydantic.warnings.PydanticDeprecatedSince20:inspect")
@pytest.mark.filterwarnings(
    "ignore:Accessing the 'model_:pydantic.warnings.PydanticDeprecatedSince211:inspect"
)
async def test_an_agent_tells_one_decision_for_every_turn(
    best_of: Callable[[int], Middleware], script: Any, calls: Callable[..., ChatMessage], watch: Watch
) -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    model = script([calls("add", "good", a=1, b=2)] * 3 + ["good: 3"])
    llm = AdaptiveLLM(llm=model.provider(), middleware=best_of(3))
    assert str(await FunctionAgent(tools=[FunctionTool.from_defaults(add)], llm=llm).run("?")) == "good: 3"
    turns = [span for span in watch.parents() if span.startswith("AdaptiveLLM.astream_chat-")]
    assert sorted(map(str, watch.decided())) == sorted(turns)
    assert [len(watch.below(turn)) for turn in turns] == [3, 3]


class Person(BaseModel):
    """A person."""

    name: str


async def test_a_structured_prediction_starts_and_ends_once_whoever_makes_it(
    wrap: Any, script: Any, calls: Callable[..., ChatMessage], watch: Watch
) -> None:
    llm = wrap(script([calls("Person", "good", name="Ada")]).provider())
    assert llm.structured_predict(Person, PromptTemplate("Who?")) == Person(name="Ada")
    assert await llm.astructured_predict(Person, PromptTemplate("Who?")) == Person(name="Ada")
    names = [type(event).__name__ for event in watch.events]
    for name in ("LLMStructuredPredictStartEvent", "LLMStructuredPredictEndEvent"):
        assert names.count(name) == 2
    assert names.count("LLMChatStartEvent") == names.count("LLMChatEndEvent") == 2 * wrap.n
