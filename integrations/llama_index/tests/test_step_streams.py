"""Strategies that read answers step by step, on the model's own streams; and what a caller sees of them live."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.mock import MockFunctionCallingLLM, MockLLM

from adaptive_middleware import Middleware, Rule
from adaptive_middleware.effects import Advance, Begin, Drop, Flow, Follow, Sample
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.policy import fixed
from adaptive_middleware.strategies.first_good import first_good
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.types import Outcome, Path, Request
from llama_index_adaptive import AdaptiveLLM

GOOD = ["2 + 2", " = 4\n\n", "4 is", " even\n\n", "The answer", " is 4."]
BAD = ["2 + 2", " = 5\n\n", "5 is", " odd\n\n"]
QUESTION = [ChatMessage("What is 2 + 2?")]
WAYS = pytest.mark.parametrize("way", ["chat", "achat", "complete", "acomplete"])


@dataclass
class Streams:
    """The streamed answers of a model, one per call and the last one again and again; how many were opened and closed.

    An answer is text, piece by piece; an event to wait for, an error to raise, or a block to add.
    """

    answers: Sequence[Sequence[Any]]
    asked: int = 0
    closed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> Sequence[Any]:
        with self.lock:
            self.asked += 1
            return self.answers[min(self.asked, len(self.answers)) - 1]


class Model(MockFunctionCallingLLM):
    """A model as providers' are: responses repeat the text so far; usage and reason come with the last one."""

    _streams: Streams = PrivateAttr()

    def __init__(self, *answers: Sequence[Any]) -> None:
        super().__init__(is_chat_model=True)
        self._streams = Streams(answers)

    @property
    def streams(self) -> Streams:
        return self._streams

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse]:
        return self._pieces(_chat)

    @llm_chat_callback()
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse]:
        return self._apieces(_chat)

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> Generator[CompletionResponse]:
        return self._pieces(_completion)

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> AsyncGenerator[CompletionResponse]:
        return self._apieces(_completion)

    def _pieces(self, made: Callable[..., Any]) -> Generator[Any]:
        text, blocks = "", list[Any]()
        try:
            for item in self.streams.next():
                if isinstance(item, threading.Event):
                    item.wait(20)
                    continue
                text += _taken(item, blocks)
                yield made(text, item, blocks)
            yield made(text, "", blocks, finished=True)
        finally:
            self.streams.closed += 1

    async def _apieces(self, made: Callable[..., Any]) -> AsyncGenerator[Any]:
        text, blocks = "", list[Any]()
        try:
            for item in self.streams.next():
                if isinstance(item, threading.Event):
                    await _set(item)
                    continue
                text += _taken(item, blocks)
                yield made(text, item, blocks)
            yield made(text, "", blocks, finished=True)
        finally:
            self.streams.closed += 1


async def _set(event: threading.Event) -> None:
    for _ in range(10_000):
        if event.is_set():
            break
        await asyncio.sleep(0.002)


def _taken(item: Any, blocks: list[Any]) -> str:
    if isinstance(item, Exception):
        raise item
    if isinstance(item, str):
        return item
    blocks.append(item)
    return ""


def _raw(finished: bool) -> dict[str, Any]:
    choices = [{"finish_reason": "stop" if finished else None}]
    return {"choices": choices, "usage": {"prompt_tokens": 8, "completion_tokens": 3} if finished else None}


def _chat(text: str, item: Any, blocks: Sequence[Any], *, finished: bool = False) -> ChatResponse:
    message = ChatMessage(text, role="assistant")
    message.blocks.extend(blocks)
    thought = {"thinking_delta": item.content} if isinstance(item, ThinkingBlock) else {}
    delta = item if isinstance(item, str) else ""
    return ChatResponse(message=message, delta=delta, raw=_raw(finished), additional_kwargs=thought)


def _completion(
    text: str, item: Any, _blocks: Sequence[Any], *, finished: bool = False
) -> CompletionResponse:
    return CompletionResponse(text=text, delta=item, raw=_raw(finished))


def right(path: Path) -> list[float]:
    return [0.02 if "5" in step else 0.95 for step in path.steps] or [0.5]


PRUNE = Middleware(prune(fixed(3), max_samples=3, score_question=False), scorer=TableScorer(right))


def follows(request: Request) -> Flow[Outcome]:
    (path,) = yield from Begin(request, 1)
    path = yield from Follow(request, path)
    return Outcome(chosen=path, usage=path.usage, limit=2, strategy="follows")


FOLLOW = Middleware(follows)


async def answered(llm: AdaptiveLLM, way: str) -> ChatResponse | CompletionResponse:
    match way:
        case "chat":
            return llm.chat(QUESTION)
        case "achat":
            return await llm.achat(QUESTION)
        case "complete":
            return llm.complete("2 + 2?")
    return await llm.acomplete("2 + 2?")


async def streamed(llm: AdaptiveLLM, way: str) -> list[Any]:
    match way:
        case "chat":
            return list(llm.stream_chat(QUESTION))
        case "achat":
            return [one async for one in await llm.astream_chat(QUESTION)]
        case "complete":
            return list(llm.stream_complete("2 + 2?"))
    return [one async for one in await llm.astream_complete("2 + 2?")]


def text_of(response: ChatResponse | CompletionResponse) -> str | None:
    return response.text if isinstance(response, CompletionResponse) else response.message.content


async def all_closed(streams: Streams) -> bool:
    for _ in range(500):
        if streams.closed == streams.asked:
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.fixture
def gate() -> Any:
    event = threading.Event()
    yield event
    event.set()


@WAYS
async def test_prune_reads_the_models_streams_and_closes_the_losers(way: str, gate: threading.Event) -> None:
    model = Model([*BAD, gate], [*BAD, gate], GOOD)
    response = await answered(AdaptiveLLM(llm=model, middleware=PRUNE), way)
    assert text_of(response) == "".join(GOOD)
    assert await all_closed(model.streams)
    assert (model.streams.asked, gate.is_set()) == (3, False)
    # the provider counts the finished answer, 8 + 3; of each other the first step was read, with the piece that
    # closed it: 15 characters are 4 tokens
    assert response.additional_kwargs["adaptive"]["usage"]["completion_tokens"] == 3 + 2 * 4
    assert response.delta is None


@WAYS
async def test_token_handlers_count_whole_answers_and_the_report_also_what_was_dropped(way: str) -> None:
    handler = TokenCountingHandler(tokenizer=str.split)
    model = Model(BAD, BAD, GOOD)
    llm = AdaptiveLLM(llm=model, middleware=PRUNE, callback_manager=CallbackManager([handler]))
    usage = (await answered(llm, way)).additional_kwargs["adaptive"]["usage"]
    assert await all_closed(model.streams)
    assert (handler.prompt_llm_token_count, handler.completion_llm_token_count) == (8, 3)
    # the questions of the dropped ones are estimated too, at four characters a token
    question = -(-len("What is 2 + 2?" if "chat" in way else "2 + 2?") // 4)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (8 + 2 * question, 3 + 2 * 4)


@WAYS
async def test_a_pruned_answer_is_streamed_in_one_piece_when_it_is_known(
    way: str, gate: threading.Event
) -> None:
    model = Model([*BAD, gate], [*BAD, gate], GOOD)
    (piece,) = await streamed(AdaptiveLLM(llm=model, middleware=PRUNE), way)
    assert piece.delta == text_of(piece) == "".join(GOOD)
    assert piece.additional_kwargs["adaptive"]["strategy"].startswith("prune")


@pytest.mark.parametrize("way", ["chat", "complete"])
def test_what_is_followed_reaches_the_caller_before_the_model_has_written_the_rest(
    way: str, gate: threading.Event
) -> None:
    llm = AdaptiveLLM(llm=Model([*GOOD[:2], gate, *GOOD[2:]]), middleware=FOLLOW)
    pieces: Any = llm.stream_chat(QUESTION) if way == "chat" else llm.stream_complete("2 + 2?")
    early = [next(pieces).delta, next(pieces).delta]
    assert (early, gate.is_set()) == (GOOD[:2], False)
    gate.set()
    late = list(pieces)
    assert [piece.delta for piece in late if piece.delta] == GOOD[2:]
    assert text_of(late[-1]) == "".join(GOOD)


@pytest.mark.parametrize("way", ["achat", "acomplete"])
async def test_what_is_followed_reaches_an_async_caller_before_the_model_has_written_the_rest(
    way: str, gate: threading.Event
) -> None:
    llm = AdaptiveLLM(llm=Model([*GOOD[:2], gate, *GOOD[2:]]), middleware=FOLLOW)
    pieces: Any = await (llm.astream_chat(QUESTION) if way == "achat" else llm.astream_complete("2 + 2?"))
    early = [(await anext(pieces)).delta, (await anext(pieces)).delta]
    assert (early, gate.is_set()) == (GOOD[:2], False)
    gate.set()
    late = [piece async for piece in pieces]
    assert [piece.delta for piece in late if piece.delta] == GOOD[2:]
    assert text_of(late[-1]) == "".join(GOOD)


@WAYS
async def test_the_last_response_is_the_blocking_calls_and_deltas_spell_its_text(way: str) -> None:
    llm = AdaptiveLLM(llm=Model(GOOD), middleware=FOLLOW)
    response, pieces = await answered(llm, way), await streamed(llm, way)
    assert "".join(piece.delta for piece in pieces) == text_of(response) == "".join(GOOD)
    assert pieces[-1] == response.model_copy(update={"delta": ""})
    assert pieces[-1].additional_kwargs["adaptive"]["usage"]["completion_tokens"] == 3
    assert all("adaptive" not in piece.additional_kwargs for piece in pieces[:-1])


@pytest.mark.parametrize("way", ["chat", "achat"])
async def test_thoughts_and_tool_calls_of_a_streamed_answer_survive(way: str) -> None:
    seen: list[Path] = []

    def looks(request: Request) -> Flow[Outcome]:
        outcome = yield from follows(request)
        seen.append(outcome.chosen)
        return outcome

    call = ToolCallBlock(tool_call_id="1", tool_name="add", tool_kwargs={"a": 2, "b": 2})
    llm = AdaptiveLLM(llm=Model([ThinkingBlock(content="hm"), "I add.", call]), middleware=Middleware(looks))
    response = await answered(llm, way)
    assert isinstance(response, ChatResponse)
    assert [type(block).__name__ for block in response.message.blocks] == [
        "TextBlock",
        "ThinkingBlock",
        "ToolCallBlock",
    ]
    assert [(one.name, one.arguments, one.id) for one in seen[0].tool_calls] == [
        ("add", {"a": 2, "b": 2}, "1")
    ]
    (selection,) = llm.get_tool_calls_from_response((await streamed(llm, way))[-1])
    assert (selection.tool_name, selection.tool_kwargs) == ("add", {"a": 2, "b": 2})


@pytest.mark.parametrize("middleware", [FOLLOW, PRUNE], ids=["followed", "in one piece"])
@pytest.mark.parametrize("way", ["chat", "achat"])
async def test_thoughts_are_streamed_once_where_agents_look_for_them(
    way: str, middleware: Middleware
) -> None:
    thoughts, text = ThinkingBlock(content="4 is even, hm. "), "It is 4."
    model = Model([text[:2], thoughts, text[2:], ThinkingBlock(content="Yes.")])
    seen = await streamed(AdaptiveLLM(llm=model, middleware=middleware), way)
    assert "".join(one.delta for one in seen) == text
    told = [one.additional_kwargs.get("thinking_delta", "") for one in seen]
    assert "".join(told) == "4 is even, hm. Yes."
    assert (len(seen) == 1) == (middleware is PRUNE)


class Forgets(Model):
    """Its last message has its thoughts and its tool call, but of its text only the end, or nothing."""

    def __init__(self, *texts: Sequence[str]) -> None:
        super().__init__(*texts)

    def stream_chat(self, messages: Any, **kwargs: Any) -> Any:
        thought, call = ThinkingBlock(content="hm"), ToolCallBlock(tool_name="add", tool_kwargs={})
        for delta, new, texts in zip(("It is ", "4."), "hm", self.streams.answers, strict=True):
            message = ChatMessage(role="assistant")
            message.blocks = [thought, *(TextBlock(text=text) for text in texts), call]
            yield ChatResponse(message=message, delta=delta, additional_kwargs={"thinking_delta": new})

    async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
        async def later() -> Any:
            for response in self.stream_chat(messages):
                yield response

        return later()


@pytest.mark.parametrize("last", [["4."], []], ids=["the end", "nothing"])
@pytest.mark.parametrize("way", ["chat", "achat"])
async def test_text_that_the_last_response_does_not_repeat_stays_in_its_place(
    way: str, last: list[str]
) -> None:
    llm = AdaptiveLLM(llm=Forgets(["It is "], last), middleware=FOLLOW)
    seen = await streamed(llm, way)
    assert "".join(one.additional_kwargs.get("thinking_delta", "") for one in seen) == "hm"
    for response in (await answered(llm, way), seen[-1]):
        assert isinstance(response, ChatResponse)
        kinds = [type(block) for block in response.message.blocks]
        assert kinds == [ThinkingBlock, TextBlock, ToolCallBlock]
        assert response.message.content == "It is 4."


@pytest.mark.filterwarnings("ignore:The `__fields:pydantic.warnings.PydanticDeprecatedSince20:inspect")
@pytest.mark.filterwarnings(
    "ignore:Accessing the 'model_:pydantic.warnings.PydanticDeprecatedSince211:inspect"
)
async def test_an_agent_runs_the_tools_of_a_followed_answer() -> None:
    ran: list[tuple[int, int]] = []

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        ran.append((a, b))
        return a + b

    call = ToolCallBlock(tool_call_id="1", tool_name="add", tool_kwargs={"a": 2, "b": 2})
    llm = AdaptiveLLM(llm=Model(["I add.", call], ["It is 4."]), middleware=FOLLOW)
    result = await FunctionAgent(tools=[add], llm=llm).run("2 + 2?")
    assert str(result) == "It is 4."
    assert ran == [(2, 2)]


@pytest.mark.parametrize("way", ["chat", "complete"])
def test_a_stream_that_the_caller_closes_is_closed_in_the_model(way: str, gate: threading.Event) -> None:
    model = Model([*GOOD[:2], gate, *GOOD[2:]])
    llm = AdaptiveLLM(llm=model, middleware=FOLLOW)
    pieces: Any = llm.stream_chat(QUESTION) if way == "chat" else llm.stream_complete("2 + 2?")
    next(pieces)
    pieces.close()
    assert (model.streams.asked, model.streams.closed) == (1, 1)


@pytest.mark.parametrize("way", ["achat", "acomplete"])
async def test_a_cancelled_stream_leaves_no_task_and_no_open_stream(way: str, gate: threading.Event) -> None:
    model, first, before = Model([*GOOD[:2], gate]), asyncio.Event(), asyncio.all_tasks()
    llm = AdaptiveLLM(llm=model, middleware=FOLLOW)

    async def watch() -> None:
        pieces: Any = await (llm.astream_chat(QUESTION) if way == "achat" else llm.astream_complete("2 + 2?"))
        async for _ in pieces:
            first.set()

    watching = asyncio.create_task(watch())
    await first.wait()
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert await all_closed(model.streams)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


def as_far_as_it_came(request: Request) -> Flow[Outcome]:
    outcome = yield from follows(request)
    cut = replace(outcome.chosen, done=False, finish_reason="truncated", error=None, raw=None)
    return replace(outcome, chosen=cut, degraded=(f"broke off: {outcome.chosen.error}",))


@WAYS
async def test_an_answer_that_breaks_off_is_an_error_unless_the_strategy_returns_it_as_it_is(
    way: str,
) -> None:
    model = Model([*GOOD[:2], ConnectionError("gone")])
    for call in (streamed, answered):
        with pytest.raises(SamplerError, match="the chosen answer failed: ConnectionError: gone"):
            await call(AdaptiveLLM(llm=model, middleware=FOLLOW), way)
    llm = AdaptiveLLM(llm=model, middleware=Middleware(as_far_as_it_came))
    *shown, last = await streamed(llm, way)
    assert [one.delta for one in shown] == GOOD[:2]
    assert (text_of(last), last.delta) == ("".join(GOOD[:2]), "")
    assert last.additional_kwargs["adaptive"]["degraded"] == ["broke off: ConnectionError: gone"]
    assert text_of(await answered(llm, way)) == text_of(last)


@WAYS
async def test_what_was_shown_is_never_replaced(way: str) -> None:
    def returns_another(request: Request) -> Flow[Outcome]:
        yield from follows(request)
        return (yield from samples(request))

    with pytest.raises(
        SamplerError, match="broke off after 38 characters, which were already shown: another"
    ):
        await streamed(AdaptiveLLM(llm=Model(GOOD), middleware=Middleware(returns_another)), way)


def sure_of_it(path: Path) -> list[float]:
    return [0.95] * max(len(path.steps), 1)


def unsure(path: Path) -> list[float]:
    return right(path) if path.steps else [0.5]


def easy_or_not(score: Callable[[Path], list[float]]) -> Middleware:
    """First-good: what is good after the first step is shown, all else is pruned unseen."""
    otherwise = prune(fixed(2), max_samples=2, score_question=False)
    return Middleware(first_good(otherwise, good=0.9, by="mean"), scorer=TableScorer(score))


@WAYS
async def test_first_good_streams_an_easy_answer_live_and_hides_the_search_for_a_hard_one(
    way: str, gate: threading.Event
) -> None:
    easy = await streamed(AdaptiveLLM(llm=Model(GOOD), middleware=easy_or_not(sure_of_it)), way)
    assert [one.delta for one in easy if one.delta] == GOOD
    assert easy[-1].additional_kwargs["adaptive"]["strategy"].startswith("first-good")
    model = Model([*BAD, gate], [*BAD, gate], GOOD)
    (hard,) = await streamed(AdaptiveLLM(llm=model, middleware=easy_or_not(unsure)), way)
    assert hard.delta == "".join(GOOD)
    assert await all_closed(model.streams)
    assert model.streams.asked == 3


def gives_up(request: Request) -> Flow[Outcome]:
    opened = yield from Begin(request, 1)
    read = yield from Advance(request, tuple(opened))
    (path,) = yield from Drop(request, tuple(read))
    return Outcome(chosen=replace(path, finish_reason="length"), limit=2)


@WAYS
async def test_an_answer_that_was_given_up_is_its_text_so_far(way: str, gate: threading.Event) -> None:
    llm = AdaptiveLLM(llm=Model([*GOOD[:3], gate]), middleware=Middleware(gives_up))
    response = await answered(llm, way)
    assert text_of(response) == "2 + 2 = 4\n\n"
    assert response.additional_kwargs["adaptive"]["max_samples"] == 2
    (piece,) = await streamed(llm, way)
    assert piece.delta == "2 + 2 = 4\n\n"


class Silent(MockLLM):
    """A model that does not stream."""

    def stream_complete(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("streams")


@WAYS
async def test_prune_goes_on_as_best_of_n_where_the_model_does_not_stream(way: str) -> None:
    response = await answered(AdaptiveLLM(llm=Silent(max_tokens=2), middleware=PRUNE), way)
    assert text_of(response) == "text text"
    assert response.additional_kwargs["adaptive"]["degraded"][0].startswith("NotStreaming: ")


@pytest.mark.parametrize("way", ["chat", "achat"])
async def test_a_stream_of_nothing_is_an_error(way: str) -> None:
    class Empty(Model):
        def _pieces(self, made: Callable[..., Any]) -> Generator[Any]:
            yield from ()

        async def _apieces(self, made: Callable[..., Any]) -> AsyncGenerator[Any]:
            for nothing in list[Any]():
                yield nothing

    with pytest.raises(SamplerError, match="a stream without responses"):
        await answered(AdaptiveLLM(llm=Empty(), middleware=PRUNE), way)


@WAYS
async def test_text_that_responses_do_not_repeat_is_put_together(way: str) -> None:
    """The frameworks' own mock repeats one word too little."""
    llm = AdaptiveLLM(llm=MockLLM(max_tokens=3), middleware=FOLLOW)
    assert text_of(await answered(llm, way)) == "text text text"
    pieces = await streamed(llm, way)
    assert text_of(pieces[-1]) == "".join(piece.delta for piece in pieces) == "text text text"


@pytest.mark.parametrize(("raw", "done"), [({"choices": []}, False), (None, True)])
async def test_only_a_provider_that_gives_reasons_can_fail_to_give_one(raw: Any, done: bool) -> None:
    seen: list[Path] = []

    def looks(request: Request) -> Flow[Outcome]:
        outcome = yield from follows(request)
        seen.append(outcome.chosen)
        return outcome

    class Cut(MockLLM):
        def stream_complete(self, *args: Any, **kwargs: Any) -> Generator[CompletionResponse]:
            yield CompletionResponse(text="4", delta=None, raw=raw)

    assert AdaptiveLLM(llm=Cut(max_tokens=None), middleware=Middleware(looks)).complete("2 + 2?").text == "4"
    assert [path.done for path in seen] == [done]


@pytest.mark.parametrize(("steps", "expected"), [("lines", 2), ("paragraphs", 1)])
async def test_steps_are_cut_as_the_rule_says(steps: Any, expected: int) -> None:
    seen: list[Path] = []

    def looks(request: Request) -> Flow[Outcome]:
        outcome = yield from follows(request)
        seen.append(outcome.chosen)
        return outcome

    middleware = Middleware(rules=[Rule("cut", looks, boundary=steps)])
    await AdaptiveLLM(llm=Model(["2 + 2\nis 4"]), middleware=middleware).achat(QUESTION)
    assert [len(path.steps) for path in seen] == [expected]


def samples(request: Request) -> Flow[Outcome]:
    (path,) = yield from Sample(request, 1)
    return Outcome(chosen=path)


async def test_a_strategy_that_samples_opens_no_stream() -> None:
    model = Model(GOOD)
    await AdaptiveLLM(llm=model, middleware=Middleware(samples)).achat(QUESTION)
    assert model.streams.asked == 0
