"""Calls that take several samples: what comes back, what it cost, and what happens when something fails."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import openai
import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatResult, LLMResult
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_openai import ChatOpenAI

from adaptive_middleware import (
    Middleware,
    Path,
    Request,
    Rule,
    StepScores,
    best_of_n,
    fixed,
    optimal_stopping,
)
from adaptive_middleware.errors import DeadlineExceeded
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_openai import Server
from langchain_adaptive import AdaptiveChatModel

Chat = Callable[..., ChatOpenAI]


def n_samples(n: int) -> Middleware:
    return Middleware(best_of_n(fixed(n), max_samples=n, score=False))


def seven_is_right(path: Path) -> Sequence[float]:
    if not path.steps:
        return [0.5]
    return [0.95 if "is 7" in path.text else 0.05] * len(path.steps)


def adaptive_report(message: AIMessage) -> dict[str, Any]:
    report = message.response_metadata["adaptive"]
    assert isinstance(report, dict)
    return report


class Counting(BaseCallbackHandler):
    def __init__(self) -> None:
        self.started: list[UUID] = []
        self.ended: list[LLMResult] = []

    def on_chat_model_start(self, *args: object, run_id: UUID, **kwargs: object) -> None:
        self.started.append(run_id)

    def on_llm_end(self, response: LLMResult, **kwargs: object) -> None:
        self.ended.append(response)


class Gate(BaseRateLimiter):
    def __init__(self) -> None:
        self.passed = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.passed += 1
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire(blocking=blocking)


def test_a_call_that_passes_through_returns_what_the_bare_model_returns(server: Server, chat: Chat) -> None:
    bare = chat().invoke("Hi")
    server.reset()
    wrapped = AdaptiveChatModel(inner=chat()).invoke("Hi")
    changing = {"id": None}
    assert wrapped.model_copy(update=changing) == bare.model_copy(update=changing)
    assert "adaptive" not in wrapped.response_metadata


async def test_the_scorer_decides_when_to_stop_and_what_is_returned(server: Server, chat: Chat) -> None:
    scorer = TableScorer(seven_is_right)
    middleware = Middleware(best_of_n(optimal_stopping(target=0.9), max_samples=6), scorer=scorer)
    model = AdaptiveChatModel(inner=chat("arithmetic+split"), middleware=middleware)
    chat("arithmetic+split").invoke(
        "3 + 4"
    )  # of every three choices the first is right: the next two are wrong
    answer = await model.ainvoke("What is 3 + 4?")
    assert answer.content == "3 + 4 = 7\nThe answer is 7."
    report = adaptive_report(answer)
    assert (report["samples"], report["chosen"], report["p"]) == (3, 2, pytest.approx(0.95))
    assert len(server.calls) == 1 + 3
    assert [len(batch) for batch in scorer.seen] == [1, 1, 1, 1]
    assert [path.steps for path in scorer.seen[1]] == [("3 + 4 = 8\n", "The answer is 8.")]


async def test_sync_and_async_calls_return_the_same(server: Server, chat: Chat) -> None:
    middleware = Middleware(best_of_n(fixed(3), max_samples=3), scorer=TableScorer(seven_is_right))
    model = AdaptiveChatModel(inner=chat("arithmetic+split"), middleware=middleware, max_concurrency=1)
    sync = model.invoke("3 + 4")
    server.reset()
    again = await model.ainvoke("3 + 4")
    assert again.content == sync.content
    assert again.usage_metadata == sync.usage_metadata
    assert adaptive_report(again) == adaptive_report(sync)


@pytest.mark.parametrize("native_n", [False, True])
async def test_usage_is_the_sum_over_all_requests(server: Server, chat: Chat, native_n: bool) -> None:
    one = chat().invoke("Hi").usage_metadata
    server.reset()
    model = AdaptiveChatModel(inner=chat(), middleware=n_samples(3), native_n=native_n)
    handler = UsageMetadataCallbackHandler()
    three = (await model.ainvoke("Hi", {"callbacks": [handler]})).usage_metadata
    assert one is not None
    assert three is not None
    requests = 1 if native_n else 3
    assert len(server.calls) == requests
    assert three["output_tokens"] == 3 * one["output_tokens"]
    assert three["input_tokens"] == requests * one["input_tokens"]
    assert handler.usage_metadata == {"fake+constant": three}


def test_the_report_counts_the_tokens_of_a_native_request_once(chat: Chat) -> None:
    model = AdaptiveChatModel(inner=chat(), middleware=n_samples(3), native_n=True)
    answer = model.invoke("Hi")
    usage = adaptive_report(answer)["usage"]
    assert answer.usage_metadata is not None
    assert usage["completion_tokens"] == answer.usage_metadata["output_tokens"] == 3 * 4
    assert usage["prompt_tokens"] == answer.usage_metadata["input_tokens"]
    assert usage["requests"] == 1
    assert [c["completion_tokens"] for c in adaptive_report(answer)["candidates"]] == [4, 4, 4]


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_provider_that_ignores_n_is_asked_again_for_the_rest(
    server: Server, chat: Chat, mode: str
) -> None:
    model = AdaptiveChatModel(inner=chat("ignore-n"), middleware=n_samples(3), native_n=True)
    answer = await model.ainvoke("Hi") if mode == "async" else model.invoke("Hi")
    assert adaptive_report(answer)["samples"] == 3
    assert [body.get("n") for body in server.calls] == [3, None, None]


def test_a_provider_that_refuses_n_raises_its_own_error(chat: Chat) -> None:
    model = AdaptiveChatModel(inner=chat("single"), middleware=n_samples(3), native_n=True)
    with pytest.raises(openai.BadRequestError, match="n must be 1"):
        model.invoke("Hi")


def test_the_providers_own_token_usage_is_summed_too(chat: Chat) -> None:
    one = chat().invoke("Hi").response_metadata["token_usage"]
    answer = AdaptiveChatModel(inner=chat(), middleware=n_samples(3)).invoke("Hi")
    assert answer.response_metadata["token_usage"]["total_tokens"] == 3 * one["total_tokens"]


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_callbacks_see_one_run_however_many_samples_it_takes(chat: Chat, mode: str) -> None:
    model, handler = AdaptiveChatModel(inner=chat(), middleware=n_samples(3)), Counting()
    if mode == "async":
        await model.ainvoke("Hi", {"callbacks": [handler]})
    else:
        model.invoke("Hi", {"callbacks": [handler]})
    assert len(handler.started) == len(handler.ended) == 1
    assert [len(each) for each in handler.ended[0].generations] == [1]


def test_generate_returns_one_generation_and_its_usage_is_counted(chat: Chat) -> None:
    handler = UsageMetadataCallbackHandler()
    model = AdaptiveChatModel(inner=chat(), middleware=n_samples(3))
    result = model.generate([[HumanMessage("Hi")], [HumanMessage("Hi")]], callbacks=[handler])
    assert [len(each) for each in result.generations] == [1, 1]
    assert handler.usage_metadata["fake+constant"]["output_tokens"] == 2 * 3 * 4
    assert result.llm_output is not None
    assert result.llm_output["token_usage"]["completion_tokens"] == 2 * 3 * 4


def test_a_global_cache_keeps_answers_and_never_collapses_samples(server: Server, chat: Chat) -> None:
    set_llm_cache(InMemoryCache())
    try:
        model = AdaptiveChatModel(inner=chat("split"), middleware=n_samples(3))
        first = model.invoke("Hi")
        assert (len(server.calls), adaptive_report(first)["samples"]) == (3, 3)
        assert model.invoke("Hi").content == first.content
        assert len(server.calls) == 3
        AdaptiveChatModel(inner=chat("split"), middleware=n_samples(2)).invoke("Hi")
        assert len(server.calls) == 3 + 2
    finally:
        set_llm_cache(None)


def test_the_cache_key_follows_the_middleware_of_a_copy(chat: Chat) -> None:
    model = AdaptiveChatModel(inner=chat(), middleware=n_samples(3))
    key = model._get_llm_string()
    assert key == AdaptiveChatModel(inner=chat(), middleware=n_samples(3))._get_llm_string()
    assert key != model.model_copy(update={"middleware": n_samples(2)})._get_llm_string()
    assert key != model.model_copy(update={"inner": chat("split")})._get_llm_string()


async def test_when_all_samples_fail_the_caller_sees_the_clients_own_error(
    server: Server, chat: Chat
) -> None:
    model = AdaptiveChatModel(inner=chat("fail"), middleware=n_samples(3))
    with pytest.raises(openai.InternalServerError, match="asked for a failure"):
        model.invoke("Hi")
    with pytest.raises(openai.InternalServerError, match="asked for a failure"):
        await model.ainvoke("Hi")
    with pytest.raises(openai.RateLimitError) as caught:
        await AdaptiveChatModel(inner=chat("limit"), middleware=n_samples(3)).ainvoke("Hi")
    assert caught.value.response.headers["retry-after"] == "1"
    assert len(server.calls) == 9


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_one_failed_sample_does_not_fail_the_call(chat: Chat, mode: str) -> None:
    model = AdaptiveChatModel(inner=chat("constant+fail=3"), middleware=n_samples(3))
    answer = await model.ainvoke("Hi") if mode == "async" else model.invoke("Hi")
    report = adaptive_report(answer)
    assert answer.content == "The answer is 42."
    assert (report["samples"], len(report["candidates"])) == (3, 2)
    (cause,) = report["degraded"]
    assert cause.startswith("sample failed: ")
    assert "asked for a failure" in cause


class Broken:
    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        raise RuntimeError("CUDA is on fire")


async def test_a_scorer_that_raises_leaves_a_vote_and_says_so(chat: Chat) -> None:
    middleware = Middleware(best_of_n(fixed(3), max_samples=3), scorer=Broken())
    answer = await AdaptiveChatModel(inner=chat(), middleware=middleware).ainvoke("Hi")
    assert answer.content == "The answer is 42."
    assert any("CUDA is on fire" in cause for cause in adaptive_report(answer)["degraded"])


async def test_the_inner_models_rate_limiter_is_asked_for_every_request(chat: Chat) -> None:
    gate = Gate()
    model = AdaptiveChatModel(inner=chat(rate_limiter=gate), middleware=n_samples(3))
    model.invoke("Hi")
    assert gate.passed == 3
    await model.ainvoke("Hi")
    assert gate.passed == 6
    AdaptiveChatModel(inner=chat(rate_limiter=gate), middleware=n_samples(3), native_n=True).invoke("Hi")
    assert gate.passed == 7


async def test_at_most_max_concurrency_samples_are_under_way(server: Server, chat: Chat) -> None:
    model = AdaptiveChatModel(inner=chat("delay=100"), middleware=n_samples(6), max_concurrency=2)
    await model.ainvoke("Hi")
    assert server.peak == 2
    model.invoke("Hi")
    assert (server.peak, server.choices) == (2, 12)


class Stalling(FakeListChatModel):
    """Answers the first `quick` calls at once, the others never; counts how those ended."""

    quick: int
    asked: int = 0
    cancelled: int = 0

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        self.asked += 1
        if self.asked > self.quick:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled += 1
        return await super()._agenerate(*args, **kwargs)


def hurried(quick: int) -> tuple[AdaptiveChatModel, Stalling]:
    rule = Rule("hurry", best_of_n(fixed(4), max_samples=4, score=False), seconds=1.0)
    inner = Stalling(responses=["done"], quick=quick)
    return AdaptiveChatModel(inner=inner, middleware=Middleware(rules=[rule])), inner


async def test_at_the_deadline_finished_samples_count_and_the_others_are_cancelled() -> None:
    model, inner = hurried(quick=3)
    answer = await model.ainvoke("Hi")
    report = adaptive_report(answer)
    assert (answer.content, len(report["candidates"]), report["samples"]) == ("done", 3, 4)
    assert any("DeadlineExceeded" in cause for cause in report["degraded"])
    assert inner.cancelled == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_deadline_before_the_first_answer_is_a_typed_error() -> None:
    model, inner = hurried(quick=0)
    with pytest.raises(DeadlineExceeded):
        await model.ainvoke("Hi")
    assert inner.cancelled == 4


async def test_a_cancelled_call_leaves_no_request_behind(server: Server, chat: Chat) -> None:
    model = AdaptiveChatModel(inner=chat("delay=100000"), middleware=n_samples(3))
    call = asyncio.create_task(model.ainvoke("Hi"))
    await _until(lambda: server.in_flight == 3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await _until(lambda: server.abandoned == 3)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the condition is another thread's
            await asyncio.sleep(0.005)
