"""Streams: live when the call passes through, one complete chunk when the answer had to be chosen."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    BaseCallbackHandler,
    CallbackManagerForLLMRun,
    UsageMetadataCallbackHandler,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware, Rule, best_of_n, fixed, pass_through
from adaptive_middleware.testing.fake_openai import Server
from langchain_adaptive import AdaptiveChatModel
from langchain_adaptive.streaming import only_chunk

Chat = Callable[..., ChatOpenAI]
in_beta = pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
TWO = best_of_n(fixed(2), max_samples=2, score=False)


@tool
def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello {name}"


class Tokens(BaseCallbackHandler):
    """Collects the tokens of a stream; `astream_events` and LangGraph attach such handlers."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.tokens.append(token)


class Gate(BaseRateLimiter):
    def __init__(self) -> None:
        self.passed = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.passed += 1
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire(blocking=blocking)


class Silent(BaseChatModel):
    """A model without any stream."""

    @property
    def _llm_type(self) -> str:
        return "silent"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("silence"))])


class OnlyAsync(Silent):
    """A model that streams, but not in synchronous calls."""

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for word in ("si", "lence"):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


def texts(chunks: Iterator[AIMessageChunk] | list[AIMessageChunk]) -> list[str]:
    return [str(chunk.content) for chunk in chunks]


async def test_a_call_that_passes_through_streams_as_the_bare_model_does(server: Server, chat: Chat) -> None:
    bare = texts(chat().stream("Hi"))
    model = AdaptiveChatModel(inner=chat())
    assert len([text for text in bare if text]) == 4
    assert texts(model.stream("Hi")) == bare
    assert texts([chunk async for chunk in model.astream("Hi")]) == bare
    assert [body["stream"] for body in server.calls] == [True] * 3


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_chosen_answer_is_one_chunk_with_everything_in_it(
    server: Server, chat: Chat, mode: str
) -> None:
    model, usage = AdaptiveChatModel(inner=chat(), middleware=Middleware(TWO)), UsageMetadataCallbackHandler()
    if mode == "sync":
        chunks = list(model.stream("Hi", {"callbacks": [usage]}, stream_usage=True))
    else:
        chunks = [chunk async for chunk in model.astream("Hi", {"callbacks": [usage]}, stream_usage=True)]
    (chunk,) = chunks
    assert (chunk.content, chunk.chunk_position) == ("The answer is 42.", "last")
    assert chunk.response_metadata["adaptive"]["samples"] == 2
    assert chunk.response_metadata["model_name"] == "fake+constant"
    assert "token_usage" not in chunk.response_metadata
    assert chunk.usage_metadata is not None
    assert chunk.usage_metadata["output_tokens"] == 2 * 4
    assert usage.usage_metadata == {"fake+constant": chunk.usage_metadata}
    assert [(body["stream"], body.get("stream_options")) for body in server.calls] == [(False, None)] * 2


def test_the_one_chunk_carries_tool_calls_once_and_unescaped(chat: Chat) -> None:
    model = AdaptiveChatModel(inner=chat(), middleware=Middleware(TWO)).bind_tools([greet], tool_choice="any")
    (chunk,) = model.stream("Greet '世界'")
    assert isinstance(chunk, AIMessageChunk)
    assert [call["args"] for call in chunk.tool_call_chunks] == ['{"name": "世界"}']
    assert [call["args"] for call in chunk.tool_calls] == [{"name": "世界"}]
    assert "tool_calls" not in chunk.additional_kwargs


def test_calls_with_broken_arguments_stay_visible_in_the_chunk() -> None:
    broken = {"name": "greet", "args": '{"name": ', "id": "1", "error": None, "type": "invalid_tool_call"}
    message = AIMessage("", invalid_tool_calls=[broken])
    chunk = only_chunk(ChatResult(generations=[ChatGeneration(message=message)])).message
    assert isinstance(chunk, AIMessageChunk)
    assert [(call["name"], call["args"]) for call in chunk.tool_call_chunks] == [("greet", '{"name": ')]


@pytest.mark.parametrize("strategy", [pass_through, TWO])
async def test_a_model_without_a_stream_answers_whole(strategy: Any) -> None:
    model = AdaptiveChatModel(inner=Silent(), middleware=Middleware(strategy))
    assert texts(model.stream("Hi")) == ["silence"]
    assert texts([chunk async for chunk in model.astream("Hi")]) == ["silence"]
    assert texts([model.invoke("Hi", stream=True)]) == ["silence"]  # type: ignore[list-item]


async def test_a_model_that_streams_in_async_calls_only_does_so_wrapped() -> None:
    model = AdaptiveChatModel(inner=OnlyAsync())
    assert texts(model.stream("Hi")) == ["silence"]
    assert texts([chunk async for chunk in model.astream("Hi")])[:2] == ["si", "lence"]


@in_beta
def test_v3_events_of_a_model_without_a_stream_come_from_its_whole_answer() -> None:
    assert AdaptiveChatModel(inner=Silent()).stream_events("Hi", version="v3").output.text == "silence"


@in_beta
@pytest.mark.parametrize(("strategy", "pieces"), [(pass_through, 4), (TWO, 1)])
async def test_handlers_of_v3_events_get_every_token_once(chat: Chat, strategy: Any, pieces: int) -> None:
    model, sync, awaited = (
        AdaptiveChatModel(inner=chat(), middleware=Middleware(strategy)),
        Tokens(),
        Tokens(),
    )
    assert model.stream_events("Hi", {"callbacks": [sync]}, version="v3").output.text == "The answer is 42."
    stream = await model.astream_events("Hi", {"callbacks": [awaited]}, version="v3")
    assert (await stream.output).text == "The answer is 42."
    for handler in (sync, awaited):
        assert len([token for token in handler.tokens if token]) == pieces
        assert "".join(handler.tokens) == "The answer is 42."


@pytest.mark.parametrize(("disabled", "pieces"), [(False, 4), (True, 1)])
def test_streaming_switched_off_on_either_model_is_off(chat: Chat, disabled: bool, pieces: int) -> None:
    inside = AdaptiveChatModel(inner=chat(disable_streaming=disabled))
    outside = AdaptiveChatModel(inner=chat(), disable_streaming=disabled)
    for model in (inside, outside):
        assert len([text for text in texts(model.stream("Hi")) if text]) == pieces


def test_a_model_set_to_stream_does_so_inside_invoke(server: Server, chat: Chat) -> None:
    handler = Tokens()
    AdaptiveChatModel(inner=chat(streaming=True)).invoke("Hi", {"callbacks": [handler]})
    assert "".join(handler.tokens) == "The answer is 42."
    assert server.calls[0]["stream"] is True


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_the_rate_limiter_is_asked_once_for_a_live_stream(mode: str) -> None:
    gate = Gate()
    model = AdaptiveChatModel(inner=FakeListChatModel(responses=["ok"], rate_limiter=gate))
    chunks = list(model.stream("Hi")) if mode == "sync" else [chunk async for chunk in model.astream("Hi")]
    assert texts(chunks)[:2] == ["o", "k"]
    assert gate.passed == 1


TAGGED = Rule("tagged", TWO, when=lambda request: "careful" in request.tags)
NODE = Rule("node", TWO, when=lambda request: request.call_site == "planner")


@pytest.mark.parametrize(
    ("rule", "config"),
    [(TAGGED, {"tags": ["careful"]}), (NODE, {"metadata": {"call_site": "planner"}})],
)
async def test_rules_see_where_a_stream_comes_from(chat: Chat, rule: Rule, config: Any) -> None:
    model = AdaptiveChatModel(inner=chat(), middleware=Middleware(rules=[rule]))
    assert len(texts(model.stream("Hi", config))) == 1
    assert len(texts(model.stream("Hi"))) > 1
    assert len([chunk async for chunk in model.astream("Hi", config)]) == 1
    assert len([chunk async for chunk in model.astream("Hi")]) > 1


async def test_rules_see_the_tags_when_a_handler_turns_invoke_into_a_stream(
    server: Server, chat: Chat
) -> None:
    model = AdaptiveChatModel(inner=chat(), middleware=Middleware(rules=[TAGGED]))
    events = (model | (lambda message: message)).astream_events("Hi", {"tags": ["careful"]})
    kinds = [event["event"] async for event in events]
    assert len(server.calls) == 2
    assert kinds.count("on_chat_model_stream") == 1
    assert kinds.count("on_chat_model_end") == 1


def test_an_abandoned_stream_ends_the_inner_one() -> None:
    closed = []

    class Noticing(GenericFakeChatModel):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            try:
                yield from super()._stream(*args, **kwargs)
            finally:
                closed.append(True)

    stream = AdaptiveChatModel(inner=Noticing(messages=iter([AIMessage("a b c")]))).stream(
        [HumanMessage("Hi")]
    )
    next(stream)
    assert not closed
    stream.close()  # type: ignore[attr-defined]
    assert closed == [True]


async def test_an_abandoned_async_stream_ends_the_inner_one() -> None:
    closed = []

    class Noticing(OnlyAsync):
        async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
            try:
                yield ChatGenerationChunk(message=AIMessageChunk(content="a"))
                yield ChatGenerationChunk(message=AIMessageChunk(content="b"))
            finally:
                closed.append(True)

    stream = AdaptiveChatModel(inner=Noticing()).astream("Hi")
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert closed == [True]
