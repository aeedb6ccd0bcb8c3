"""Strategies that read answers step by step, on the inner model's own streams; and what a caller sees of them live."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    UsageMetadata,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware, Rule
from adaptive_middleware.effects import Advance, Begin, Drop, Flow, Follow, Sample
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.policy import fixed
from adaptive_middleware.strategies.beam import beam
from adaptive_middleware.strategies.first_good import first_good
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_sse import RESET, Item, Script, StreamServer, event, fake_sse
from adaptive_middleware.types import Outcome, Path, Request
from langchain_adaptive import AdaptiveChatModel

GOOD = ["2 + 2", " = 4\n\n", "4 is", " even\n\n", "The answer", " is 4."]
BAD = ["2 + 2", " = 5\n\n", "5 is", " odd\n\n"]
QUESTION = "What is 2 + 2?"
MODES = pytest.mark.parametrize("mode", ["sync", "async"])
DONE = b"data: [DONE]\n\n"


def chunk(reason: str | None = None, usage: Mapping[str, int] | None = None, **delta: Any) -> bytes:
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": reason}]
    head = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "fake"}
    return event({**head, "choices": choices, "usage": usage})


def counted(prompt: int, completion: int) -> bytes:
    total = prompt + completion
    return chunk(usage={"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total})


def answer(pieces: Sequence[str]) -> list[Item]:
    said = [chunk(content=piece) for piece in pieces]
    return [*said, chunk("stop"), counted(5, len(pieces)), DONE]


def with_a_call() -> list[Item]:
    arguments = json.dumps({"name": "世界"}, ensure_ascii=False)
    begun = {"index": 0, "id": "call-1", "type": "function", "function": {"name": "greet", "arguments": ""}}
    parts = [{"index": 0, "function": {"arguments": part}} for part in (arguments[:7], arguments[7:])]
    calls = [chunk(content="I greet.")] + [chunk(tool_calls=[one]) for one in (begun, *parts)]
    return [*calls, chunk("tool_calls"), counted(9, 12), DONE]


def one_good_of(n: int) -> Callable[[Mapping[str, Any]], Script]:
    """Every n-th answer is good; the others never end unless they are closed."""
    number = count(1)
    return lambda _body: [*map(_said, BAD), 600.0] if next(number) % n else answer(GOOD)


def _said(piece: str) -> bytes:
    return chunk(content=piece)


def right(path: Path) -> list[float]:
    return [0.02 if "5" in step else 0.95 for step in path.steps] or [0.5]


PRUNE = Middleware(
    prune(fixed(3), max_samples=3, score_question=False),
    scorer=TableScorer(right),
)


def follows(request: Request) -> Flow[Outcome]:
    (path,) = yield from Begin(request, 1)
    path = yield from Follow(request, path)
    return Outcome(chosen=path, usage=path.usage, limit=2, strategy="follows")


FOLLOW = Middleware(follows)


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture
def sse(gate: threading.Event) -> Iterator[StreamServer]:
    scripts: dict[str, Any] = {
        "two of three are bad": one_good_of(3),
        "good": answer(GOOD),
        "call": with_a_call(),
        "gated": [*answer(GOOD)[:2], gate, *answer(GOOD)[2:]],
        "never": [*answer(GOOD)[:3], gate],
        "reset": [*answer(GOOD)[:3], 0.05, RESET],
        "cut": [*answer(GOOD)[:3], DONE],
    }
    with fake_sse(scripts) as server:
        yield server
        gate.set()


def openai(server: StreamServer, model: str, **fields: Any) -> ChatOpenAI:
    given = {"stream_usage": True, "max_retries": 0, "api_key": "none", **fields}
    return ChatOpenAI(base_url=server.url, model=model, **given)


def adaptive(server: StreamServer, model: str, middleware: Middleware, **fields: Any) -> AdaptiveChatModel:
    return AdaptiveChatModel(inner=openai(server, model), middleware=middleware, **fields)


async def invoked(model: Any, mode: str, config: Any = None) -> AIMessage:
    message = model.invoke(QUESTION, config) if mode == "sync" else await model.ainvoke(QUESTION, config)
    assert isinstance(message, AIMessage)
    return message


async def streamed(model: Any, mode: str, config: Any = None) -> list[AIMessageChunk]:
    if mode == "sync":
        return list(model.stream(QUESTION, config))
    return [piece async for piece in model.astream(QUESTION, config)]


def joined(chunks: Sequence[AIMessageChunk]) -> AIMessageChunk:
    whole = chunks[0]
    for one in chunks[1:]:
        whole += one
    return whole


def closed(server: StreamServer) -> bool:
    for _ in range(500):
        if server.open == 0:
            return True
        time.sleep(0.01)
    return False


@MODES
async def test_prune_reads_the_inner_models_streams_and_closes_the_losers(
    sse: StreamServer, mode: str
) -> None:
    message = await invoked(adaptive(sse, "two of three are bad", PRUNE), mode)
    assert message.content == "".join(GOOD)
    assert closed(sse)
    assert (len(sse.asked), sse.abandoned) == (3, 2)
    assert all(body["stream"] is True for body in sse.asked)
    assert message.response_metadata["finish_reason"] == "stop"
    assert message.response_metadata["model_name"] == "fake"


@MODES
async def test_usage_counts_every_stream_those_that_were_dropped_as_far_as_they_were_read(
    sse: StreamServer, mode: str
) -> None:
    usage = UsageMetadataCallbackHandler()
    message = await invoked(adaptive(sse, "two of three are bad", PRUNE), mode, {"callbacks": [usage]})
    # the provider counts the whole answer; the others are reckoned at four characters a token: 14 of the question,
    # and of the answer the first step with the piece that closed it, 15
    prompt, completion = 5 + 2 * 4, len(GOOD) + 2 * 4
    assert message.usage_metadata is not None
    counts = {name: value for name, value in message.usage_metadata.items() if value}
    assert counts == {
        "input_tokens": prompt,
        "output_tokens": completion,
        "total_tokens": prompt + completion,
    }
    spent = message.response_metadata["adaptive"]["usage"]
    assert (spent["prompt_tokens"], spent["completion_tokens"]) == (prompt, completion)
    assert usage.usage_metadata == {"fake": message.usage_metadata}


@MODES
async def test_a_pruned_answer_is_streamed_as_one_chunk_when_it_is_known(
    sse: StreamServer, mode: str
) -> None:
    chunks = await streamed(adaptive(sse, "two of three are bad", PRUNE), mode)
    assert [piece.text for piece in chunks] == ["".join(GOOD)]
    assert chunks[0].response_metadata["adaptive"]["strategy"].startswith("prune")
    assert chunks[0].chunk_position == "last"


class Tokens(BaseCallbackHandler):
    def __init__(self) -> None:
        self.tokens: list[str] = []

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.tokens.append(token)


def test_what_is_followed_reaches_the_caller_before_the_provider_has_sent_the_rest(
    sse: StreamServer, gate: threading.Event
) -> None:
    handler = Tokens()
    stream = adaptive(sse, "gated", FOLLOW).stream(QUESTION, {"callbacks": [handler]})
    early = [next(stream).text, next(stream).text]
    assert early == handler.tokens == GOOD[:2]
    assert not gate.is_set()
    gate.set()
    late = [piece.text for piece in stream]
    assert [text for text in early + late if text] == GOOD
    assert handler.tokens == early + late


async def test_what_is_followed_reaches_an_async_caller_before_the_provider_has_sent_the_rest(
    sse: StreamServer, gate: threading.Event
) -> None:
    handler = Tokens()
    stream = adaptive(sse, "gated", FOLLOW).astream(QUESTION, {"callbacks": [handler]})
    early = [(await anext(stream)).text, (await anext(stream)).text]
    assert early == handler.tokens == GOOD[:2]
    assert not gate.is_set()
    gate.set()
    late = [piece.text async for piece in stream]
    assert [text for text in early + late if text] == GOOD
    assert handler.tokens == early + late


@MODES
@pytest.mark.parametrize("name", ["good", "call"])
async def test_the_chunks_add_up_to_the_message_of_invoke(sse: StreamServer, mode: str, name: str) -> None:
    model = adaptive(sse, name, FOLLOW)
    whole, message = joined(await streamed(model, mode)), await invoked(model, mode)
    assert whole.chunk_position == "last"
    assert whole.response_metadata == message.response_metadata
    assert whole.response_metadata["adaptive"]["strategy"] == "follows"
    for part in ("content", "tool_calls", "invalid_tool_calls", "usage_metadata", "additional_kwargs"):
        assert getattr(whole, part) == getattr(message, part)


@MODES
async def test_the_message_is_the_bare_models_own_but_for_the_report(sse: StreamServer, mode: str) -> None:
    message, bare = await invoked(adaptive(sse, "call", FOLLOW), mode), openai(sse, "call").stream(QUESTION)
    whole = joined(list(bare))
    assert message.response_metadata.pop("adaptive")["usage"]["completion_tokens"] == 12
    assert message.response_metadata == whole.response_metadata
    assert [(call["name"], call["args"], call["id"]) for call in message.tool_calls] == [
        ("greet", {"name": "世界"}, "call-1")
    ]
    assert message.tool_calls == whole.tool_calls
    assert message.usage_metadata == whole.usage_metadata


@MODES
async def test_usage_is_in_the_last_chunk_alone(sse: StreamServer, mode: str) -> None:
    *others, last = await streamed(adaptive(sse, "good", FOLLOW), mode)
    assert {piece.usage_metadata is None for piece in others} == {True}
    assert last.usage_metadata is not None
    assert last.usage_metadata["output_tokens"] == len(GOOD)


def test_a_stream_that_the_caller_closes_is_closed_at_the_provider(sse: StreamServer) -> None:
    stream = adaptive(sse, "gated", FOLLOW).stream(QUESTION)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert closed(sse)
    assert sse.abandoned == 1


async def test_a_cancelled_stream_leaves_no_task_and_no_connection(sse: StreamServer) -> None:
    model, seen, before = adaptive(sse, "gated", FOLLOW), asyncio.Event(), asyncio.all_tasks()

    async def watch() -> None:
        async for _ in model.astream(QUESTION):
            seen.set()

    watching = asyncio.create_task(watch())
    await seen.wait()
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert asyncio.all_tasks() == before
    assert await asyncio.to_thread(closed, sse)
    assert sse.abandoned == 1


def leaves_open(request: Request) -> Flow[Outcome]:
    first, _second = yield from Begin(request, 2)
    path = yield from Follow(request, first)
    return Outcome(chosen=path, usage=path.usage, limit=2)


@MODES
async def test_what_was_opened_and_never_read_costs_nothing(sse: StreamServer, mode: str) -> None:
    message = await invoked(adaptive(sse, "good", Middleware(leaves_open)), mode)
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] == len(GOOD)
    assert len(sse.asked) == 1


def shows_another(request: Request) -> Flow[Outcome]:
    opened = yield from Begin(request, 2)
    yield from Follow(request, opened[0])
    path = yield from Follow(request, opened[1])
    return Outcome(chosen=path)


def returns_another(request: Request) -> Flow[Outcome]:
    shown, other = yield from Begin(request, 2)
    yield from Follow(request, shown)
    yield from Drop(request, (other,))
    (drawn,) = yield from Sample(request, 1)
    return Outcome(chosen=drawn)


@MODES
@pytest.mark.parametrize("strategy", [shows_another, returns_another])
async def test_what_was_shown_is_never_replaced(mode: str, strategy: Any) -> None:
    inner = FakeListChatModel(responses=["good"])
    with pytest.raises(SamplerError, match="broke off after 4 characters, which were already shown: another"):
        await streamed(AdaptiveChatModel(inner=inner, middleware=Middleware(strategy)), mode)


@MODES
async def test_a_failed_answer_that_a_strategy_returns_is_an_error(sse: StreamServer, mode: str) -> None:
    with pytest.raises(SamplerError, match=r"the chosen answer failed: \w+Error"):
        await streamed(adaptive(sse, "reset", FOLLOW), mode)
    with pytest.raises(SamplerError, match=r"the chosen answer failed: \w+Error"):
        await invoked(adaptive(sse, "reset", FOLLOW), mode)


def as_far_as_it_came(request: Request) -> Flow[Outcome]:
    outcome = yield from follows(request)
    if outcome.chosen.error is None:
        return outcome
    cut = replace(outcome.chosen, done=False, finish_reason="truncated", error=None, raw=None)
    return replace(outcome, chosen=cut, degraded=(f"broke off: {outcome.chosen.error}",))


@MODES
async def test_a_strategy_may_return_what_was_shown_before_the_stream_broke(
    sse: StreamServer, mode: str
) -> None:
    model = adaptive(sse, "reset", Middleware(as_far_as_it_came))
    whole, message = joined(await streamed(model, mode)), await invoked(model, mode)
    assert whole.content == message.content == "".join(GOOD[:3])
    for one in (whole, message):
        assert one.response_metadata["finish_reason"] == "truncated"
        assert one.response_metadata["adaptive"]["degraded"][0].startswith("broke off: ")
    assert whole.usage_metadata == message.usage_metadata


@MODES
async def test_half_a_tool_call_is_never_shown(mode: str) -> None:
    broken = [*with_a_call()[:3], 0.05, RESET]
    with fake_sse({"broken call": broken}) as server:
        model = adaptive(server, "broken call", Middleware(as_far_as_it_came))
        whole = joined(await streamed(model, mode))
    assert (whole.content, whole.tool_calls, whole.invalid_tool_calls) == ("I greet.", [], [])


@MODES
async def test_a_providers_stream_without_a_reason_for_its_end_is_not_a_finished_answer(
    sse: StreamServer, mode: str
) -> None:
    seen: list[Path] = []

    def looks(request: Request) -> Flow[Outcome]:
        outcome = yield from follows(request)
        seen.append(outcome.chosen)
        return outcome

    message = await invoked(adaptive(sse, "cut", Middleware(looks)), mode)
    assert message.content == "".join(GOOD[:3])
    assert [(path.done, path.finish_reason) for path in seen] == [(False, "truncated")]


class Silent(BaseChatModel):
    """A model without a stream."""

    @property
    def _llm_type(self) -> str:
        return "silent"

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("4"))])


@MODES
async def test_prune_goes_on_as_best_of_n_where_the_model_has_no_stream(mode: str) -> None:
    message = await invoked(AdaptiveChatModel(inner=Silent(), middleware=PRUNE), mode)
    assert message.content == "4"
    (cause, *_) = message.response_metadata["adaptive"]["degraded"]
    assert cause.startswith("NotStreaming: ")


@MODES
async def test_prune_goes_on_as_best_of_n_where_streams_are_switched_off(mode: str) -> None:
    inner = FakeListChatModel(responses=["4"], disable_streaming=True)
    message = await invoked(AdaptiveChatModel(inner=inner, middleware=PRUNE), mode)
    assert message.response_metadata["adaptive"]["degraded"][0].startswith("NotStreaming: ")


@MODES
async def test_beam_goes_on_as_prune_on_the_models_streams(sse: StreamServer, mode: str) -> None:
    searching = Middleware(beam(samples=3, fanout=1, score_question=False), scorer=TableScorer(right))
    message = await invoked(adaptive(sse, "two of three are bad", searching), mode)
    assert message.content == "".join(GOOD)
    assert message.response_metadata["adaptive"]["degraded"][0].startswith("NotContinuing: ")
    assert closed(sse)
    assert (len(sse.asked), sse.abandoned) == (3, 2)


def sure_of_it(path: Path) -> list[float]:
    return [0.95] * max(len(path.steps), 1)


def unsure(path: Path) -> list[float]:
    return right(path) if path.steps else [0.5]


def easy_or_not(score: Callable[[Path], list[float]]) -> Middleware:
    """First-good: what is good after the first step is shown, all else is pruned unseen."""
    otherwise = prune(fixed(2), max_samples=2, score_question=False)
    return Middleware(first_good(otherwise, good=0.9, by="mean"), scorer=TableScorer(score))


@MODES
async def test_first_good_streams_an_easy_answer_live_and_hides_the_search_for_a_hard_one(
    sse: StreamServer, mode: str
) -> None:
    easy = await streamed(adaptive(sse, "good", easy_or_not(sure_of_it)), mode)
    assert [one.text for one in easy if one.text] == GOOD
    assert joined(easy).response_metadata["adaptive"]["strategy"].startswith("first-good")
    assert len(sse.asked) == 1
    hard = await streamed(adaptive(sse, "two of three are bad", easy_or_not(unsure)), mode)
    assert [one.text for one in hard] == ["".join(GOOD)]
    assert closed(sse)
    assert (len(sse.asked), sse.abandoned) == (1 + 3, 2)


@MODES
async def test_first_good_returns_what_it_showed_when_the_stream_breaks(sse: StreamServer, mode: str) -> None:
    whole = joined(await streamed(adaptive(sse, "reset", easy_or_not(sure_of_it)), mode))
    assert whole.content == "".join(GOOD[:3])
    assert whole.response_metadata["finish_reason"] == "truncated"
    assert any("ended early" in cause for cause in whole.response_metadata["adaptive"]["degraded"])


class Blocks(Silent):
    """A model whose chunks are content blocks, each with what it added to the usage."""

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        assert run_manager is None
        yield _blocks({"type": "thinking", "thinking": "hm", "index": 0}, 7, 0)
        yield _blocks({"type": "text", "text": "2 + 2", "index": 1}, 0, 3)
        yield _blocks({"type": "text", "text": " = 4", "index": 1}, 0, 2)
        info = {"stop_reason": "end_turn"}
        yield ChatGenerationChunk(message=AIMessageChunk(content=[], response_metadata=info))


def _blocks(block: dict[str, Any], prompt: int, completion: int) -> ChatGenerationChunk:
    usage = UsageMetadata(input_tokens=prompt, output_tokens=completion, total_tokens=prompt + completion)
    usage["input_token_details"] = {"cache_read": prompt and 6}
    return ChatGenerationChunk(message=AIMessageChunk(content=[block], usage_metadata=usage))


@MODES
async def test_content_blocks_and_usage_that_comes_in_parts_are_kept(mode: str) -> None:
    model = AdaptiveChatModel(inner=Blocks(), middleware=FOLLOW)
    message, whole = await invoked(model, mode), joined(await streamed(model, mode))
    assert message.content == [
        {"type": "thinking", "thinking": "hm", "index": 0},
        {"type": "text", "text": "2 + 2 = 4", "index": 1},
    ]
    assert message.usage_metadata == {
        "input_tokens": 7,
        "output_tokens": 5,
        "total_tokens": 12,
        "input_token_details": {"cache_read": 6},
    }
    assert (whole.content, whole.usage_metadata) == (message.content, message.usage_metadata)
    assert whole.response_metadata == message.response_metadata


async def test_a_strategy_that_returns_a_path_of_its_own_is_told_so() -> None:
    def inventive(request: Request) -> Flow[Outcome]:
        yield from Sample(request, 1)
        return Outcome(chosen=Path(("mine",)))

    model = AdaptiveChatModel(inner=FakeListChatModel(responses=["4"]), middleware=Middleware(inventive))
    with pytest.raises(SamplerError, match="whose raw is None, not a generation"):
        await model.ainvoke(QUESTION)


class Empty(Silent):
    """A model whose stream has no chunks."""

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield from ()


@MODES
async def test_a_stream_without_chunks_is_an_error(mode: str) -> None:
    with pytest.raises(SamplerError, match="Empty returned a stream without chunks"):
        await invoked(AdaptiveChatModel(inner=Empty(), middleware=PRUNE), mode)


class Gate(BaseRateLimiter):
    def __init__(self) -> None:
        self.passed = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.passed += 1
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire(blocking=blocking)


@MODES
async def test_the_rate_limiter_is_asked_once_for_each_stream(mode: str) -> None:
    limiter = Gate()
    inner = FakeListChatModel(responses=["good"], rate_limiter=limiter)
    message = await invoked(AdaptiveChatModel(inner=inner, middleware=PRUNE), mode)
    assert message.content == "good"
    assert limiter.passed == 3


@MODES
@pytest.mark.parametrize(("steps", "expected"), [("lines", 2), ("paragraphs", 1)])
async def test_steps_are_cut_as_the_rule_says(mode: str, steps: Any, expected: int) -> None:
    seen: list[Path] = []

    def looks(request: Request) -> Flow[Outcome]:
        outcome = yield from follows(request)
        seen.append(outcome.chosen)
        return outcome

    inner = GenericFakeChatModel(messages=iter([AIMessage("2 + 2\nis 4")]))
    middleware = Middleware(rules=[Rule("cut", looks, boundary=steps)])
    await invoked(AdaptiveChatModel(inner=inner, middleware=middleware), mode)
    assert [len(path.steps) for path in seen] == [expected]
    assert seen[0].done


@MODES
async def test_arguments_for_streams_reach_streams_and_no_sample(sse: StreamServer, mode: str) -> None:
    inner = openai(sse, "good", stream_usage=False)
    model = AdaptiveChatModel(inner=inner, middleware=FOLLOW).bind(stream_usage=True)
    whole = joined(await streamed(model, mode))
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["input_tokens"] == 5
    assert sse.asked[0]["stream_options"] == {"include_usage": True}


@MODES
async def test_without_the_providers_count_usage_is_estimated(sse: StreamServer, mode: str) -> None:
    scripts = {"mute": [*answer(GOOD)[:-2], DONE]}
    with fake_sse(scripts) as server:
        message = await invoked(adaptive(server, "mute", FOLLOW), mode)
    text = "".join(GOOD)
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] == -(-len(text) // 4)
    assert message.usage_metadata["input_tokens"] == -(-len(QUESTION) // 4)


class OnlyAsync(Silent):
    """A model that streams in asynchronous calls only."""

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for word in ("4", " it is"):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


async def test_a_model_that_streams_in_async_calls_only_is_read_step_by_step_there() -> None:
    model = AdaptiveChatModel(inner=OnlyAsync(), middleware=PRUNE)
    assert (await model.ainvoke(QUESTION)).content == "4 it is"
    message = model.invoke(QUESTION)
    assert message.content == "4"
    assert message.response_metadata["adaptive"]["degraded"][0].startswith("NotStreaming: ")


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
async def test_handlers_of_v3_events_get_every_followed_token_once(sse: StreamServer) -> None:
    model, handlers = adaptive(sse, "good", FOLLOW), (Tokens(), Tokens())
    stream = model.stream_events(QUESTION, {"callbacks": [handlers[0]]}, version="v3")
    assert stream.output.text == "".join(GOOD)
    awaited = await model.astream_events(QUESTION, {"callbacks": [handlers[1]]}, version="v3")
    assert (await awaited.output).text == "".join(GOOD)
    for handler in handlers:
        assert [token for token in handler.tokens if token] == GOOD


@MODES
async def test_content_blocks_of_version_1_are_those_of_the_bare_model(sse: StreamServer, mode: str) -> None:
    inner = openai(sse, "call", output_version="v1")
    model = AdaptiveChatModel(inner=inner, middleware=FOLLOW)
    bare = joined(list(inner.stream(QUESTION)))
    whole, message = joined(await streamed(model, mode)), await invoked(model, mode)
    assert whole.content == bare.content
    assert whole.content_blocks == bare.content_blocks
    assert [block["type"] for block in message.content_blocks] == ["text", "tool_call"]
    assert message.text == whole.text == "I greet."


async def test_calls_cancelled_at_any_moment_leave_nothing_behind(sse: StreamServer) -> None:
    model = adaptive(sse, "good", PRUNE)
    await model.ainvoke(QUESTION)
    assert await asyncio.to_thread(closed, sse)
    before = asyncio.all_tasks()
    for turn in range(8):
        calls = [asyncio.create_task(model.ainvoke(QUESTION)) for _ in range(5)]
        await asyncio.sleep(0.004 * turn)
        for call in calls[1:]:
            call.cancel()
        first, *_ = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(first, AIMessage)
    assert await asyncio.to_thread(closed, sse)
    assert asyncio.all_tasks() <= before  # what earlier tests left may end meanwhile


class Cut(Silent):
    """A model that says in its provider's words that it was cut off."""

    said: dict[str, Any]

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(content="2 + 2", response_metadata=self.said))


@MODES
@pytest.mark.parametrize(
    "said", [{"finish_reason": "MAX_TOKENS"}, {"stop_reason": "max_tokens"}, {"status": "incomplete"}]
)
async def test_an_answer_that_was_cut_off_is_not_a_finished_one(mode: str, said: dict[str, Any]) -> None:
    seen: list[Path] = []

    def looks(request: Request) -> Flow[Outcome]:
        outcome = yield from follows(request)
        seen.append(outcome.chosen)
        return outcome

    await invoked(AdaptiveChatModel(inner=Cut(said=said), middleware=Middleware(looks)), mode)
    assert [path.done for path in seen] == [False]


def drops_one(request: Request) -> Flow[Outcome]:
    kept, other = yield from Begin(request, 2)
    (other,) = yield from Advance(request, (other,))
    yield from Drop(request, (other,))
    path = yield from Follow(request, kept)
    return Outcome(chosen=path, limit=2)


def gives_up(request: Request) -> Flow[Outcome]:
    opened = yield from Begin(request, 1)
    read = yield from Advance(request, tuple(opened))
    (path,) = yield from Drop(request, tuple(read))
    return Outcome(chosen=replace(path, finish_reason="length"), limit=2)


@MODES
async def test_an_answer_that_was_given_up_is_its_text_so_far(sse: StreamServer, mode: str) -> None:
    usage = UsageMetadataCallbackHandler()
    model = adaptive(sse, "never", Middleware(gives_up))
    message = await invoked(model, mode, {"callbacks": [usage]})
    assert message.content == "2 + 2 = 4\n\n"
    assert message.response_metadata["finish_reason"] == "length"
    assert list(usage.usage_metadata) == ["never"]
    assert (joined(await streamed(model, mode))).content == message.content


class Cached(Silent):
    """A model that counts the prompt, and what of it was cached, before it writes."""

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield _blocks({"type": "text", "text": "One\n\n", "index": 0}, 7, 2)
        yield _blocks({"type": "text", "text": "two three", "index": 0}, 0, 1)
        yield _blocks({"type": "text", "text": " four", "index": 0}, 0, 1)


@MODES
async def test_cached_tokens_of_dropped_streams_are_counted(mode: str) -> None:
    message = await invoked(AdaptiveChatModel(inner=Cached(), middleware=Middleware(drops_one)), mode)
    assert message.text == "One\n\ntwo three four"
    # the dropped one was read up to "two three": 14 characters of text are 4 tokens, of which the model counted 3
    assert message.usage_metadata is not None
    assert message.usage_metadata["input_tokens"] == 7 + 7
    assert message.usage_metadata["output_tokens"] == 4 + 4
    assert message.usage_metadata["input_token_details"]["cache_read"] == 6 + 6
