from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LogProb,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.llms.mock import MockFunctionCallingLLM, MockLLM
from pydantic import BaseModel

from adaptive_middleware.types import ToolCall, Usage
from llama_index_adaptive.paths import chat_path, completion_path, usage


class Details(BaseModel):
    cached_tokens: int | None = None


class Counts(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: Details | None = None


class Raw(BaseModel):
    """As an OpenAI completion looks."""

    usage: Counts | None = None
    choices: list[Any] = []


def completion(text: str = "4", **fields: Any) -> CompletionResponse:
    return CompletionResponse(text=text, **fields)


def test_a_path_has_the_steps_of_the_text_and_the_response_itself() -> None:
    response = ChatResponse(message=ChatMessage("one\ntwo", role="assistant"))
    path = chat_path(response, MockLLM())
    assert (path.steps, path.done, path.error) == (("one\n", "two"), True, None)
    assert path.raw is response


def test_thinking_is_not_the_answer() -> None:
    blocks = [ThinkingBlock(content="hmm"), TextBlock(text="4")]
    assert chat_path(ChatResponse(message=ChatMessage(blocks=blocks)), MockLLM()).text == "4"


def test_tool_calls_are_those_that_the_model_reads_from_its_response() -> None:
    block = ToolCallBlock(tool_call_id="id", tool_name="add", tool_kwargs='{"a": 1}')
    response = ChatResponse(message=ChatMessage(blocks=[block]))
    assert chat_path(response, MockFunctionCallingLLM()).tool_calls == (ToolCall("add", {"a": 1}, "id"),)
    assert chat_path(response, MockLLM()).tool_calls == ()


@pytest.mark.parametrize(
    ("raw", "extra", "expected"),
    [
        (Raw(usage=Counts(prompt_tokens=9, completion_tokens=2)), {}, Usage(9, 2, requests=1)),
        (
            Raw(
                usage=Counts(
                    prompt_tokens=9, completion_tokens=2, prompt_tokens_details=Details(cached_tokens=5)
                )
            ),
            {},
            Usage(9, 2, 5, requests=1),
        ),
        (
            {"usage": {"input_tokens": 9, "output_tokens": 2, "cache_read_input_tokens": 4}},
            {},
            Usage(9, 2, 4, requests=1),
        ),
        (
            {"usage_metadata": {"prompt_token_count": 9, "candidates_token_count": 2}},
            {},
            Usage(9, 2, requests=1),
        ),
        ({"prompt_eval_count": 9, "eval_count": 2}, {}, Usage(9, 2, requests=1)),
        (None, {"prompt_tokens": 9, "completion_tokens": 2}, Usage(9, 2, requests=1)),
        (Raw(), {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}, Usage(9, 2, requests=1)),
        (None, {}, Usage(requests=1)),
        ("text", {}, Usage(requests=1)),
        ({"usage": {"prompt_tokens": None, "completion_tokens": "2"}}, {}, Usage(requests=1)),
        ({"usage": {"prompt_tokens": -3, "completion_tokens": 2}}, {}, Usage(0, 2, requests=1)),
    ],
    ids=[
        "openai",
        "openai-cached",
        "anthropic",
        "google",
        "ollama",
        "extra",
        "both",
        "none",
        "odd",
        "wrong",
        "negative",
    ],
)
def test_usage_is_found_where_providers_put_it(raw: object, extra: dict[str, Any], expected: Usage) -> None:
    assert usage(completion(raw=raw, additional_kwargs=extra)) == expected
    assert completion_path(completion(raw=raw, additional_kwargs=extra)).usage == expected


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["usage", "choices", "logprobs", "content", "prompt_tokens", "logprob", "x"]),
            inner,
        )
    ),
    max_leaves=8,
)


@given(raw=json_like, text=st.text())
def test_no_shape_of_raw_breaks_a_path(raw: object, text: str) -> None:
    path = completion_path(completion(text, raw=raw))
    assert path.text == text
    assert path.usage.requests == 1
    assert min(path.usage.prompt_tokens, path.usage.completion_tokens, path.usage.cached_tokens) >= 0


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"choices": [{"finish_reason": "length"}]}, "length"),
        ({"stop_reason": "end_turn"}, "end_turn"),
        ({"done_reason": "stop"}, "stop"),
        ({"choices": []}, None),
        ({"stop_reason": 3}, None),
        (None, None),
    ],
)
def test_the_finish_reason_is_the_providers(raw: object, expected: str | None) -> None:
    assert completion_path(completion(raw=raw)).finish_reason == expected


def test_log_probabilities_are_the_providers_own_where_it_gives_them() -> None:
    content = [{"logprob": -0.5}, {"logprob": -1}]
    raw = {"choices": [{"logprobs": {"content": content}}]}
    likeliest = [[LogProb(token="4", logprob=-9)]]  # noqa: S106 - a token of text
    assert completion_path(completion(raw=raw, logprobs=likeliest)).logprobs == (-0.5, -1.0)
    content.append({})
    assert completion_path(completion(raw=raw)).logprobs is None


def test_otherwise_they_are_those_of_the_tokens_that_spell_the_text() -> None:
    def places(*tokens: dict[str, float]) -> list[list[LogProb]]:
        return [[LogProb(token=token, logprob=value) for token, value in place.items()] for place in tokens]

    spelled = places({"x": -3.0, "4": -0.1}, {"2": -0.2, "": -4.0})
    assert completion_path(completion("42", logprobs=spelled)).logprobs == (-0.1, -0.2)
    assert completion_path(completion("42", logprobs=places({"x": -3.0}, {"2": -0.2}))).logprobs is None
    unclear = places({"4": -3.0, "42": -0.2}, {"2": -0.1})
    assert completion_path(completion("42", logprobs=unclear)).logprobs is None
    assert completion_path(completion("42", logprobs=places({"4": -0.1}))).logprobs is None
    assert completion_path(completion("42", logprobs=[])).logprobs is None
