"""Promises of AdaptiveChatModel that hold for one sample and for several: what a library around it may rely on."""

import asyncio
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from adaptive_middleware import Decision, Middleware, best_of_n, fixed
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.types import State
from langchain_adaptive import AdaptiveChatModel

Chat = Callable[..., ChatOpenAI]
SAMPLES = pytest.mark.parametrize("n", [1, 3])


def samples(n: int) -> Middleware:
    return Middleware() if n == 1 else Middleware(best_of_n(fixed(n), max_samples=n, score=False))


class Point(BaseModel):
    """A point in the plane."""

    x: int
    y: int


class Watching(BaseCallbackHandler):
    """How runs began, and how many ended."""

    def __init__(self) -> None:
        self.metadata: list[dict[str, Any]] = []
        self.ended = 0

    def on_chat_model_start(self, *args: object, **kwargs: Any) -> None:
        self.metadata.append(kwargs["metadata"])

    def on_llm_end(self, *args: object, **kwargs: object) -> None:
        self.ended += 1


@SAMPLES
@pytest.mark.parametrize(
    "options",
    [
        {"method": "json_schema", "strict": True},
        {"method": "function_calling", "strict": True},
        {"method": "json_mode"},
        {"method": "json_schema", "strict": True, "tools": [Point]},
    ],
)
def test_every_form_of_structured_output_reaches_the_provider_as_the_bare_models(
    server: Server, chat: Chat, n: int, options: dict[str, Any]
) -> None:
    question = "Give me 3 and 4 as 'x' and 'y'"
    schema = None if options["method"] == "json_mode" else Point
    chat().with_structured_output(schema, include_raw=True, **options).invoke(question)
    (bare,) = server.calls
    server.reset()
    model = AdaptiveChatModel(inner=chat(), middleware=samples(n))
    model.with_structured_output(schema, include_raw=True, **options).invoke(question)
    assert server.calls == [bare] * n
    assert ("'strict': True" in str(bare)) is ("strict" in options)


@SAMPLES
@pytest.mark.parametrize("mode", ["sync", "async", "stream", "astream"])
async def test_callbacks_see_one_run_with_the_bare_models_parameters(chat: Chat, n: int, mode: str) -> None:
    inner = chat(temperature=0.4, max_tokens=50)
    model = AdaptiveChatModel(inner=inner, middleware=samples(n))
    bare, ours = Watching(), Watching()
    inner.invoke("Hi", {"callbacks": [bare]}, stop=["#"])
    config: Any = {"callbacks": [ours]}
    match mode:
        case "sync":
            model.invoke("Hi", config, stop=["#"])
        case "async":
            await model.ainvoke("Hi", config, stop=["#"])
        case "stream":
            list(model.stream("Hi", config, stop=["#"]))
        case _:
            [chunk async for chunk in model.astream("Hi", config, stop=["#"])]
    assert (len(ours.metadata), ours.ended) == (1, 1)
    theirs, own = (
        {name: value for name, value in seen.metadata[0].items() if name.startswith("ls_")}
        for seen in (bare, ours)
    )
    assert own == theirs
    assert own["ls_stop"] == ["#"]
    assert (own["ls_temperature"], own["ls_max_tokens"]) == (0.4, 50)


@SAMPLES
@pytest.mark.parametrize("version", ["v0", "v1"])
async def test_content_blocks_are_the_bare_models_whole_and_streamed(
    chat: Chat, n: int, version: str
) -> None:
    inner = chat(output_version=version)
    model = AdaptiveChatModel(inner=inner, middleware=samples(n))
    expected = inner.invoke("Hi")
    whole = model.invoke("Hi")
    assert (whole.content, whole.content_blocks) == (expected.content, expected.content_blocks)
    streamed, bare = [reduce(add, [chunk async for chunk in one.astream("Hi")]) for one in (model, inner)]
    assert streamed.text == expected.text
    assert [(block["type"], block.get("text")) for block in streamed.content_blocks] == [
        (block["type"], block.get("text")) for block in bare.content_blocks
    ]


@SAMPLES
def test_a_cache_of_the_model_keeps_answers_and_never_makes_samples_one(
    server: Server, chat: Chat, n: int
) -> None:
    model = AdaptiveChatModel(inner=chat("split", cache=InMemoryCache()), middleware=samples(n))
    first, again = model.invoke("Hi"), model.invoke("Hi")
    assert (again.content, len(server.calls), server.choices) == (first.content, n, n)


@SAMPLES
async def test_the_usage_of_a_stream_is_counted_once_and_summed(chat: Chat, n: int) -> None:
    one = chat().invoke("Hi").usage_metadata
    assert one is not None
    handler = UsageMetadataCallbackHandler()
    model = AdaptiveChatModel(inner=chat(), middleware=samples(n))
    chunks = [chunk async for chunk in model.astream("Hi", {"callbacks": [handler]})]
    told = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata is not None]
    assert [usage["input_tokens"] for usage in told] == [n * one["input_tokens"]]
    assert handler.usage_metadata["fake+constant"]["total_tokens"] == n * one["total_tokens"]


class Gate(BaseRateLimiter):
    def __init__(self) -> None:
        self.passed = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.passed += 1
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire(blocking=blocking)


@SAMPLES
async def test_the_rate_limiter_is_asked_for_each_request_streamed_or_not(
    server: Server, chat: Chat, n: int
) -> None:
    gate = Gate()
    model = AdaptiveChatModel(inner=chat(rate_limiter=gate), middleware=samples(n))
    model.invoke("Hi")
    await model.ainvoke("Hi")
    list(model.stream("Hi"))
    [chunk async for chunk in model.astream("Hi")]
    model.bind_tools([Point]).invoke("1 2")
    assert gate.passed == len(server.calls) == 5 * n


def first_then_all(state: State) -> Decision:
    return Decision({0: 1, 1: 3}.get(state.drawn, 0), "one, then three more")


@pytest.mark.parametrize(("native_n", "requests"), [(False, [None] * 4), (True, [None, 3])])
async def test_a_first_answer_then_the_rest_at_once(
    server: Server, chat: Chat, native_n: bool, requests: list[int | None]
) -> None:
    middleware = Middleware(best_of_n(first_then_all, max_samples=4, score=False))
    model = AdaptiveChatModel(inner=chat("delay=50"), middleware=middleware, native_n=native_n)
    await model.ainvoke("Hi")
    assert [body.get("n") for body in server.calls] == requests
    assert (server.choices, server.peak) == (4, 1 if native_n else 3)


def test_one_wrapper_serves_several_event_loops_one_after_the_other() -> None:
    middleware = Middleware(best_of_n(fixed(3), max_samples=3), scorer=TableScorer(0.5))
    model = AdaptiveChatModel(inner=FakeListChatModel(responses=["yes"]), middleware=middleware)
    answers = [asyncio.run(model.ainvoke("Hi")) for _ in range(3)]
    assert [answer.content for answer in answers] == ["yes"] * 3


async def test_a_synchronous_call_inside_a_running_loop_works(chat: Chat) -> None:
    middleware = Middleware(best_of_n(fixed(3), max_samples=3), scorer=TableScorer(0.5))
    answer = AdaptiveChatModel(inner=chat(), middleware=middleware).invoke("Hi")
    assert answer.response_metadata["adaptive"]["samples"] == 3
