from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ToolCallBlock

from llama_index_adaptive.requests import call_arguments, chat_request, completion_request, transcript


def request_of(messages: list[ChatMessage], arguments: dict[str, Any]) -> Any:
    return chat_request(messages, arguments, model="m", tags=["a"])


def test_a_single_question_is_its_text() -> None:
    assert transcript([ChatMessage("What is 2 + 2?")]) == "What is 2 + 2?"
    for role in ("system", "developer"):
        assert transcript([ChatMessage("Be brief.", role=role), ChatMessage("2 + 2?")]) == "2 + 2?"


def test_a_single_message_of_another_role_says_whose_it_is() -> None:
    assert transcript([ChatMessage("4", role="assistant")]) == "assistant: 4"


def test_a_conversation_is_its_turns_in_order_and_ends_with_the_last() -> None:
    call = ToolCallBlock(tool_call_id="1", tool_name="add", tool_kwargs={"a": "ä"})
    text = ToolCallBlock(tool_call_id="2", tool_name="add", tool_kwargs='{"a": 2}')
    messages = [
        ChatMessage("Be brief.", role="system"),
        ChatMessage("Add.", role="user"),
        ChatMessage(role="assistant", blocks=[TextBlock(text="I add."), call, text]),
        ChatMessage("3", role="tool"),
        ChatMessage("", role="assistant"),
        ChatMessage(role="user", blocks=[TextBlock(text="And this?"), ImageBlock(url="http://x/y.png")]),
    ]
    assert transcript(messages) == (
        "user: Add.\n\n"
        'assistant: I add.\nadd({"a": "ä"})\nadd({"a": 2})\n\n'
        "tool: 3\n\n"
        "assistant: \n\n"
        "user: And this?\n[image]"
    )


def test_arguments_that_json_cannot_write_are_still_shown() -> None:
    call = ToolCallBlock(tool_name="add", tool_kwargs={"a": {1}})
    assert transcript([ChatMessage(role="assistant", blocks=[call])]) == 'assistant: add({"a": "{1}"})'


def test_nothing_asked_is_nothing_to_read() -> None:
    assert transcript([]) == ""


@given(
    st.dictionaries(
        st.sampled_from(["tools", "temperature", "stop", "max_tokens"]), st.none() | st.lists(st.integers())
    )
)
def test_the_call_gets_its_arguments_back(arguments: dict[str, Any]) -> None:
    messages = [ChatMessage("hi")]
    request = request_of(messages, arguments)
    assert call_arguments(request) == arguments
    assert request.messages is messages
    assert "tools" not in request.parameters or not arguments["tools"]
    assert (request.model, request.tags) == ("m", frozenset({"a"}))


def test_the_arguments_keep_the_order_that_llama_index_gives_them() -> None:
    arguments = {"tools": [1], "tool_choice": "auto", "temperature": 0}
    assert list(call_arguments(request_of([ChatMessage("hi")], arguments))) == list(arguments)


def test_a_completion_is_its_prompt() -> None:
    request = completion_request("hi", True, {"stop": "x"}, model="m", tags=())
    assert (request.text, request.messages, request.model) == ("hi", ("hi",), "m")
    assert call_arguments(request) == {"stop": "x", "formatted": True}
