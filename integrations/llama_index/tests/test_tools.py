from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms.llm import LLM
from llama_index.core.llms.mock import MockFunctionCallingLLM, MockLLM
from llama_index.core.tools import FunctionTool
from llama_index.core.tools.types import BaseTool

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.errors import ConfigError
from llama_index_adaptive import AdaptiveLLM


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(add)


async def every_response(llm: Any, **kwargs: Any) -> list[ChatResponse]:
    return [
        llm.chat_with_tools([ADD], "1 + 2?", **kwargs),
        await llm.achat_with_tools([ADD], "1 + 2?", **kwargs),
        list(llm.stream_chat_with_tools([ADD], "1 + 2?", **kwargs))[-1],
        [piece async for piece in await llm.astream_chat_with_tools([ADD], "1 + 2?", **kwargs)][-1],
    ]


async def test_every_tool_entry_point_calls_the_tool(
    wrap: Any, script: Any, calls: Callable[..., ChatMessage]
) -> None:
    model = script([calls("add", a=1, b=2)])
    llm = wrap(model.model())
    for response in await every_response(llm):
        (selection,) = llm.get_tool_calls_from_response(response)
        assert (selection.tool_name, selection.tool_kwargs) == ("add", {"a": 1, "b": 2})
    assert len(model.calls) == 4 * wrap.n
    assert all(call["tools"] == [ADD] for call in model.calls)
    assert all(call["messages"][-1].content == "1 + 2?" for call in model.calls)


async def test_agreeing_tool_calls_win_over_a_lone_one_when_none_is_scored(
    script: Any, calls: Callable[..., ChatMessage]
) -> None:
    model = script([calls("add", a=9, b=9), calls("add", a=1, b=2), calls("add", b=2, a=1)] * 4)
    llm = AdaptiveLLM(
        llm=model.model(), middleware=Middleware(best_of_n(fixed(3), score=False)), max_concurrency=1
    )
    for response in await every_response(llm):
        (selection,) = llm.get_tool_calls_from_response(response)
        assert selection.tool_kwargs == {"a": 1, "b": 2}
        assert response.additional_kwargs["adaptive"]["selected_by"] == "majority vote"


class Particular(MockFunctionCallingLLM):
    """Prepares and validates tools in ways of its own, and knows no `tool_required`."""

    def _prepare_chat_with_tools(  # type: ignore[override]
        self, tools: Sequence[BaseTool], user_msg: str | ChatMessage | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        return {"messages": [ChatMessage(f"prepared {user_msg}")], "tools": tools, "saw": sorted(kwargs)}

    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[BaseTool],
        allow_parallel_tool_calls: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        response.message.additional_kwargs["validated"] = True
        return response


async def test_the_model_prepares_and_validates_in_its_own_way(wrap: Any, script: Any) -> None:
    seen = script(["good"])
    llm = wrap(Particular(response_generator=seen))
    chosen = llm.chat_with_tools([ADD], "1 + 2?", tool_required=False)
    assert seen.calls[0]["messages"][0].content == "prepared 1 + 2?"
    assert "tool_required" not in seen.calls[0]["saw"]
    assert chosen.message.additional_kwargs["validated"]


def test_a_required_tool_is_told_to_a_model_that_knows_the_word(wrap: Any) -> None:
    class Knows(MockFunctionCallingLLM):
        def _prepare_chat_with_tools(self, *args: Any, tool_required: bool = False, **kwargs: Any) -> Any:
            return {**super()._prepare_chat_with_tools(*args, **kwargs), "required": tool_required}

    seen: list[bool] = []

    def answered(_: Sequence[ChatMessage], **kwargs: Any) -> ChatMessage:
        seen.append(kwargs["required"])
        return ChatMessage("good", role="assistant")

    wrap(Knows(response_generator=answered)).chat_with_tools([ADD], "1 + 2?", tool_required=True)
    assert set(seen) == {True}


def test_no_tool_call_is_an_error_only_where_the_model_says_so(wrap: Any, script: Any) -> None:
    class Strict(MockFunctionCallingLLM):
        def get_tool_calls_from_response(
            self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
        ) -> Any:
            found = super().get_tool_calls_from_response(response)
            if error_on_no_tool_call and not found:
                message = "no tool call"
                raise ValueError(message)
            return found

    llm = wrap(Strict(response_generator=script(["good"])))
    response = llm.chat_with_tools([ADD], "1 + 2?")
    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match="no tool call"):
        llm.get_tool_calls_from_response(response)


def test_a_model_that_cannot_read_tool_calls_can_still_chat(
    best_of: Callable[[int], Middleware], script: Any
) -> None:
    class Unread(MockFunctionCallingLLM):
        def get_tool_calls_from_response(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    llm = AdaptiveLLM(llm=Unread(response_generator=script(["bad", "good"])), middleware=best_of(2))
    assert llm.chat([ChatMessage("hi")]).message.content == "good"


async def test_tools_around_a_model_without_function_calling_are_a_clear_error() -> None:
    llm = AdaptiveLLM(llm=MockLLM())
    words = re.escape(
        "MockLLM is not a FunctionCallingLLM, so AdaptiveLLM(llm=MockLLM(...)) cannot call tools"
    )
    for call in (llm.chat_with_tools, llm.stream_chat_with_tools):
        with pytest.raises(ConfigError, match=words):
            call([ADD], "1 + 2?")
    with pytest.raises(ConfigError, match="or use it in a ReActAgent"):
        await llm.achat_with_tools([ADD], "1 + 2?")
    response = ChatResponse(message=ChatMessage("good"))
    with pytest.raises(ConfigError, match=words):
        llm.get_tool_calls_from_response(response)
    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
    with pytest.raises(ConfigError, match=words):
        llm._validate_chat_with_tools_response(response, [ADD])


def test_the_wrapped_models_kind_is_visible_in_its_metadata(wrap: Any, script: Any) -> None:
    models: list[LLM] = [MockLLM(), script(["good"]).model()]
    for model in models:
        assert wrap(model).metadata == model.metadata
