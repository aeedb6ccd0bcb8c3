"""The model in `Settings`, under LlamaIndex's engines: every model call is counted, wherever the engine asks for it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import Document, Settings, SummaryIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms.mock import MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.response_synthesizers import ResponseMode

from adaptive_middleware import Middleware
from llama_index_adaptive import AdaptiveLLM

DOCUMENTS = [Document(text="A spider has eight legs."), Document(text="An ant has six.")]


@pytest.fixture(name="counted")
def _counted() -> TokenCountingHandler:
    handler = TokenCountingHandler(tokenizer=str.split)
    Settings.callback_manager = CallbackManager([handler])
    return handler


def told(handler: TokenCountingHandler) -> tuple[int, int]:
    return handler.prompt_llm_token_count, handler.completion_llm_token_count


@pytest.mark.parametrize("mode", [ResponseMode.COMPACT, ResponseMode.REFINE, ResponseMode.TREE_SUMMARIZE])
async def test_a_query_engine_answers_with_the_model_in_settings(
    wrap: Any, script: Any, counted: TokenCountingHandler, mode: ResponseMode
) -> None:
    model = script(["good: 8"])
    Settings.llm = wrap(model.provider())
    engine = SummaryIndex.from_documents(DOCUMENTS).as_query_engine(response_mode=mode)
    assert str(engine.query("How many legs has a spider?")) == "good: 8"
    assert str(await engine.aquery("How many legs has a spider?")) == "good: 8"
    calls = len(model.calls)
    assert (calls % wrap.n, calls >= 2 * wrap.n) == (0, True)
    assert told(counted) == (8 * calls, 3 * calls)


def test_a_streaming_query_engine_gives_the_chosen_text(wrap: Any, script: Any) -> None:
    Settings.llm = wrap(script(["good: 8"]).provider())
    engine = SummaryIndex.from_documents(DOCUMENTS).as_query_engine(streaming=True)
    response: Any = engine.query("How many legs has a spider?")
    assert "".join(response.response_gen) == "good: 8"


async def test_a_chat_engine_keeps_only_chosen_answers_in_its_memory(
    best_of: Callable[[int], Middleware], script: Any
) -> None:
    model = script(["bad", "good", "bad"] * 3)
    Settings.llm = AdaptiveLLM(llm=model.provider(), middleware=best_of(3), max_concurrency=1)
    # LlamaIndex's other memory leaves a connection to SQLite open
    engine = SimpleChatEngine.from_defaults(memory=ChatMemoryBuffer.from_defaults(token_limit=1000))
    assert str(engine.chat("One?")) == str(await engine.achat("Two?")) == "good"
    assert "".join(engine.stream_chat("Three?").response_gen) == "good"
    kept = [(message.role.value, message.content) for message in model.calls[-1]["messages"]]
    said = ("assistant", "good")
    assert kept == [("user", "One?"), said, ("user", "Two?"), said, ("user", "Three?")]


def test_handlers_that_settings_get_later_count_too(wrap: Any, script: Any) -> None:
    Settings.llm = wrap(script(["good"]).provider())
    handler = TokenCountingHandler(tokenizer=str.split)
    Settings.callback_manager = CallbackManager([handler])
    Settings.llm.chat([ChatMessage("hello")])
    assert told(handler) == (8 * wrap.n, 3 * wrap.n)


async def test_tokens_of_every_entry_point_are_those_of_its_model_calls(
    wrap: Any, script: Any, counted: TokenCountingHandler
) -> None:
    model = script(["good"])
    Settings.llm = wrap(model.provider())
    llm: Any = Settings.llm
    llm.chat([ChatMessage("hello")])
    await llm.achat([ChatMessage("hello")])
    llm.chat_with_tools([], "hello")
    await llm.achat_with_tools([], "hello")
    assert len(model.calls) == len(counted.llm_token_counts) == 4 * wrap.n
    assert told(counted) == (4 * 8 * wrap.n, 4 * 3 * wrap.n)


def test_a_token_budget_of_a_handler_ends_a_call_as_it_does_unwrapped(wrap: Any, script: Any) -> None:
    handler = TokenCountingHandler(tokenizer=str.split, token_budget=5)
    llm = wrap(script(["good"]).provider(callback_manager=CallbackManager([handler])))
    with pytest.raises(ValueError, match="Token budget exceeded! Limit: 5"):
        llm.chat([ChatMessage("hello")])


def test_copies_answer_as_the_original_does(best_of: Callable[[int], Middleware]) -> None:
    llm = AdaptiveLLM(llm=MockLLM(max_tokens=2), middleware=best_of(2), tags=["a"])
    expected = llm.chat([ChatMessage("hello")])
    copies = [copy.copy(llm), copy.deepcopy(llm), llm.model_copy(), llm.model_copy(deep=True)]
    assert [one.chat([ChatMessage("hello")]) for one in copies] == [expected] * 4
