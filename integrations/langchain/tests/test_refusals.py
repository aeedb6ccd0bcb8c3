"""What a provider refuses (tools, streams, a prefix, a key, a size) is its own error, as without us."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import openai
import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware, best_of_n, fixed, prune
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_sse import Script, StreamServer, answer_script, fake_sse, whole_reply
from langchain_adaptive import AdaptiveChatModel, AdaptiveComputeMiddleware

HI = [HumanMessage("Hi")]
LONG = "x" * 5000
MESSAGES: dict[str, list[Any]] = {"prefix": [*HI, AIMessage("It is")], "size": [HumanMessage(LONG)]}
REFUSED: dict[str, tuple[int, Callable[[Mapping[str, Any]], bool]]] = {
    "tools": (400, lambda body: "tools" in body),
    "stream": (400, lambda body: bool(body.get("stream"))),
    "prefix": (422, lambda body: body["messages"][-1]["role"] == "assistant"),
    "key": (401, lambda body: True),
    "size": (413, lambda body: len(json.dumps(body)) > len(LONG)),
}
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "42"}}],
}


def refusing(what: str) -> Callable[[Mapping[str, Any]], Script]:
    status, refuses = REFUSED[what]
    error = {"error": {"message": f"no {what} here", "type": "t", "param": None, "code": None}}

    def script(body: Mapping[str, Any]) -> Script:
        if refuses(body):
            return [whole_reply(error, status=status)]
        return answer_script(["42"]) if body.get("stream") else [whole_reply(ANSWER)]

    return script


@pytest.fixture(scope="module")
def running() -> Iterator[StreamServer]:
    with fake_sse({what: refusing(what) for what in REFUSED}) as server:
        yield server


@pytest.fixture
def provider(running: StreamServer) -> Callable[..., ChatOpenAI]:
    running.asked.clear()

    def model(what: str) -> ChatOpenAI:
        return ChatOpenAI(base_url=running.url, model=what, api_key="wrong", max_retries=0, stream_usage=True)

    return model


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def given(what: str, model: Any) -> tuple[Any, list[Any]]:
    """The model and the messages that ask for what is refused."""
    if what == "tools":
        return model.bind_tools([double]), HI
    return model, MESSAGES.get(what, HI)


def best_of(n: int) -> Middleware:
    return Middleware(best_of_n(fixed(n), max_samples=n, score=False))


def said(error: openai.APIStatusError) -> tuple[Any, ...]:
    return type(error), error.status_code, error.body, str(error)


WHOLE = ["tools", "prefix", "key", "size"]


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("what", WHOLE)
async def test_the_chat_model_raises_what_the_bare_model_raises(
    running: StreamServer, provider: Any, what: str, n: int
) -> None:
    bare, messages = given(what, provider(what))
    ours, _ = given(what, AdaptiveChatModel(inner=provider(what), middleware=best_of(n)))
    with pytest.raises(openai.APIStatusError) as expected:
        bare.invoke(messages)
    with pytest.raises(openai.APIStatusError) as blocking:
        ours.invoke(messages)
    with pytest.raises(openai.APIStatusError) as awaited:
        await ours.ainvoke(messages)
    assert said(blocking.value) == said(awaited.value) == said(expected.value)
    assert expected.value.status_code == REFUSED[what][0]
    assert len(running.asked) == 1 + 2 * n


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("what", WHOLE)
async def test_the_agents_caller_sees_what_the_bare_agents_caller_sees(
    running: StreamServer, provider: Any, what: str, n: int
) -> None:
    tools = [double] if what == "tools" else []
    question = {"messages": MESSAGES.get(what, HI)}
    bare: Any = create_agent(provider(what), tools)
    ours: Any = create_agent(provider(what), tools, middleware=[AdaptiveComputeMiddleware(best_of(n))])
    with pytest.raises(openai.APIStatusError) as expected:
        bare.invoke(question)
    with pytest.raises(openai.APIStatusError) as blocking:
        ours.invoke(question)
    with pytest.raises(openai.APIStatusError) as awaited:
        await ours.ainvoke(question)
    assert said(blocking.value) == said(awaited.value) == said(expected.value)
    assert len(running.asked) == 1 + 2 * n


async def test_a_refused_stream_is_the_providers_error_where_it_is_only_passed_on(provider: Any) -> None:
    ours = AdaptiveChatModel(inner=provider("stream"))
    with pytest.raises(openai.BadRequestError) as expected:
        list(provider("stream").stream(HI))
    with pytest.raises(openai.BadRequestError) as blocking:
        list(ours.stream(HI))
    with pytest.raises(openai.BadRequestError) as awaited:
        _ = [chunk async for chunk in ours.astream(HI)]
    assert said(blocking.value) == said(awaited.value) == said(expected.value)


async def test_samples_need_no_stream_of_the_provider(provider: Any) -> None:
    ours = AdaptiveChatModel(inner=provider("stream"), middleware=best_of(3))
    blocking = list(ours.stream(HI))
    awaited = [chunk async for chunk in ours.astream(HI)]
    assert [chunk.content for chunk in (*blocking, *awaited)] == ["42", "42"]


@pytest.mark.parametrize("entry", ["invoke", "stream"])
async def test_answers_that_cannot_be_read_step_by_step_are_drawn_whole(provider: Any, entry: str) -> None:
    reading = Middleware(prune(fixed(3), max_samples=3), scorer=TableScorer(0.5))
    ours = AdaptiveChatModel(inner=provider("stream"), middleware=reading)
    if entry == "invoke":
        answers = [ours.invoke(HI), await ours.ainvoke(HI)]
    else:
        answers = [*ours.stream(HI), *[chunk async for chunk in ours.astream(HI)]]
    assert [answer.content for answer in answers] == ["42", "42"]
    for answer in answers:
        causes = answer.response_metadata["adaptive"]["degraded"]
        assert any("no stream here" in cause for cause in causes)
