"""LangChain's results as paths."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, ChatMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from adaptive_middleware.types import Path, ToolCall, Usage
from langchain_adaptive.paths import result_paths, usage_of


def generation(text: str = "", info: dict[str, Any] | None = None, **fields: Any) -> ChatGeneration:
    return ChatGeneration(message=AIMessage(text, **fields), generation_info=info)


def path(one: ChatGeneration) -> Path:
    (only,) = result_paths(ChatResult(generations=[one]))
    return only


def usage(prompt: int, completion: int, cached: int | None = None) -> dict[str, Any]:
    details = {} if cached is None else {"input_token_details": {"cache_read": cached}}
    return {
        "input_tokens": prompt,
        "output_tokens": completion,
        "total_tokens": prompt + completion,
        **details,
    }


def test_a_path_is_what_the_message_says_and_keeps_the_generation() -> None:
    one = generation(
        "First.\nSecond.",
        {"finish_reason": "stop"},
        tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c1"}],
        usage_metadata=usage(5, 7, 3),
    )
    drawn = path(one)
    assert drawn.steps == ("First.\n", "Second.")
    assert (drawn.finish_reason, drawn.done, drawn.error) == ("stop", True, None)
    assert drawn.tool_calls == (ToolCall("add", {"a": 1}, "c1"),)
    assert drawn.usage == Usage(5, 7, 3, requests=1)
    assert drawn.raw is one


@pytest.mark.parametrize("place", ["info", "metadata"])
@pytest.mark.parametrize("key", ["finish_reason", "stop_reason"])
def test_the_finish_reason_is_found_where_providers_put_it(place: str, key: str) -> None:
    found = {key: "length"}
    one = generation(info=found) if place == "info" else generation(response_metadata=found)
    assert path(one).finish_reason == "length"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": 1e-9}]}, (-0.5, 0.0)),
        ({"content": []}, None),
        ({"content": None}, None),
        (None, None),
        ([-0.5], None),
    ],
)
def test_log_probabilities_are_those_of_the_tokens(given: object, expected: object) -> None:
    assert path(generation(info={"logprobs": given})).logprobs == expected
    assert path(generation(response_metadata={"logprobs": given})).logprobs == expected


def test_content_in_parts_is_read_as_its_text() -> None:
    first, last = {"type": "text", "text": "a\n"}, {"type": "text", "text": "b"}
    parts: list[str | dict[Any, Any]] = [first, {"type": "tool_use", "id": "1"}, last]
    assert path(ChatGeneration(message=AIMessage(parts))).steps == ("a\n", "b")


def test_a_message_that_is_not_an_ai_message_has_text_only() -> None:
    drawn = path(ChatGeneration(message=ChatMessage(content="hi", role="bot")))
    assert (drawn.text, drawn.tool_calls, drawn.usage) == ("hi", (), Usage(requests=1))


@given(st.integers(1, 9), st.integers(0, 9), st.integers(0, 500), st.integers(0, 500))
def test_the_usage_of_a_request_is_counted_once(
    choices: int, limit: int, prompt: int, completion: int
) -> None:
    result = ChatResult(generations=[generation("x", usage_metadata=usage(prompt, completion))] * choices)
    paths = result_paths(result, limit)
    assert len(paths) == min(choices, limit)
    if paths:
        assert sum((one.usage for one in paths), Usage()) == Usage(prompt, completion, requests=1)
        tokens = [one.usage.completion_tokens for one in paths]
        assert max(tokens) - min(tokens) < len(paths)
    assert usage_of(result) == usage(prompt, completion)
