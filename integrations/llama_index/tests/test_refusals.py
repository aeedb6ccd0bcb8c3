"""What a provider refuses (tools, streams, a prefix, a key, a size) is its own error, as without us."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import FunctionTool

from adaptive_middleware import Middleware, fixed, prune
from adaptive_middleware.testing import TableScorer
from llama_index_adaptive import AdaptiveLLM

HELLO = [ChatMessage("hello")]
PREFIX = [*HELLO, ChatMessage("It is", role="assistant")]
LARGE = [ChatMessage("x" * 500)]


class Refused(Exception):
    """A client's own error, with the HTTP status where OpenAI's and Anthropic's have it."""

    def __init__(self, status: int, said: str) -> None:
        self.status_code = status
        super().__init__(said)


class Refusing(MockFunctionCallingLLM):
    """A model whose provider takes plain short conversations only, each as a whole."""

    needs_key: bool = False

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        if self.needs_key:
            raise Refused(401, "no key here")
        if kwargs.get("tools"):
            raise Refused(400, "no tools here")
        if messages[-1].role == "assistant":
            raise Refused(422, "no prefix here")
        if sum(len(message.content or "") for message in messages) > 100:
            raise Refused(413, "no size here")
        return ChatResponse(message=ChatMessage("42", role="assistant"))

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self.chat(messages, **kwargs)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        raise Refused(400, "Streaming is not enabled for this model")

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        return self.stream_chat(messages, **kwargs)

    def _prepare_chat_with_tools(self, tools: Any, user_msg: Any = None, *rest: Any, **kwargs: Any) -> Any:
        return {"messages": [ChatMessage(str(user_msg))], "tools": [tool.metadata.name for tool in tools]}


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TOOL = FunctionTool.from_defaults(add)


def test_the_provider_takes_what_it_does_not_refuse(wrap: Any) -> None:
    assert wrap(Refusing()).chat(HELLO).message.content == "42"


@pytest.mark.parametrize(
    ("said", "call", "acall"),
    [
        (
            "400 no tools here",
            lambda llm: llm.chat_with_tools([TOOL], "1 + 2?"),
            lambda llm: llm.achat_with_tools([TOOL], "1 + 2?"),
        ),
        ("422 no prefix here", lambda llm: llm.chat(PREFIX), lambda llm: llm.achat(PREFIX)),
        ("413 no size here", lambda llm: llm.chat(LARGE), lambda llm: llm.achat(LARGE)),
    ],
)
async def test_the_providers_refusal_reaches_the_caller(
    wrap: Any, said: str, call: Callable[[Any], object], acall: Callable[[Any], Any]
) -> None:
    llm = wrap(Refusing())
    with pytest.raises(Refused) as blocking:
        call(llm)
    with pytest.raises(Refused) as awaited:
        await acall(llm)
    found = {f"{caught.value.status_code} {caught.value}" for caught in (blocking, awaited)}
    assert found == {said}


@pytest.mark.filterwarnings("ignore:The `__fields:pydantic.warnings.PydanticDeprecatedSince20:inspect")
@pytest.mark.filterwarnings(
    "ignore:Accessing the 'model_:pydantic.warnings.PydanticDeprecatedSince211:inspect"
)
async def test_a_wrong_key_is_the_providers_to_refuse(wrap: Any) -> None:
    llm = wrap(Refusing(needs_key=True))
    with pytest.raises(Refused, match="no key here"):
        llm.chat(HELLO)
    with pytest.raises(Refused, match="no key here"):
        await FunctionAgent(llm=llm, streaming=False).run("hello")


async def test_a_refused_stream_is_the_providers_error_where_it_is_only_passed_on() -> None:
    llm = AdaptiveLLM(llm=Refusing())
    with pytest.raises(Refused, match="not enabled"):
        list(llm.stream_chat(HELLO))
    with pytest.raises(Refused, match="not enabled"):
        _ = [one async for one in await llm.astream_chat(HELLO)]


async def test_samples_need_no_stream_of_the_provider(best_of: Callable[[int], Middleware]) -> None:
    llm = AdaptiveLLM(llm=Refusing(), middleware=best_of(3))
    (whole,) = list(llm.stream_chat(HELLO))
    (awaited,) = [one async for one in await llm.astream_chat(HELLO)]
    assert (whole.delta, awaited.delta) == ("42", "42")


async def test_answers_that_cannot_be_read_step_by_step_are_drawn_whole() -> None:
    llm = AdaptiveLLM(
        llm=Refusing(), middleware=Middleware(prune(fixed(3), max_samples=3), scorer=TableScorer(0.5))
    )
    for response in (llm.chat(HELLO), await llm.achat(HELLO)):
        assert response.message.content == "42"
        (cause, *_) = response.additional_kwargs["adaptive"]["degraded"]
        assert cause.startswith("NotStreaming: the provider does not stream: Streaming is not enabled")
