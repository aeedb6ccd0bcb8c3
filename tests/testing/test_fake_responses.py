"""The Responses API of the fake OpenAI server, asked by the OpenAI SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from adaptive_middleware.testing.fake_openai import Server, fake_openai

ADD: Any = {
    "type": "function",
    "name": "add",
    "strict": True,
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with fake_openai() as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    server.reset()
    with OpenAI(base_url=server.url, api_key="none", max_retries=0) as made:
        yield made


def test_a_text_is_answered_in_steps_after_its_reasoning(client: OpenAI) -> None:
    found = client.responses.create(model="fake+arithmetic+reasoning", input="What is 3 + 4?")
    assert found.output_text == "3 + 4 = 7\nThe answer is 7."
    assert [item.type for item in found.output] == ["reasoning", "message"]
    assert found.usage is not None
    assert found.usage.input_tokens + found.usage.output_tokens == found.usage.total_tokens
    assert (found.status, found._request_id) == ("completed", "req-1")


def test_a_tool_loop_is_two_calls(client: OpenAI) -> None:
    given: list[Any] = [{"role": "user", "content": [{"type": "input_text", "text": "What is 3 + 4?"}]}]
    first: Any = client.responses.create(model="fake", input=given, tools=[ADD])
    (call,) = first.output
    assert (call.name, json.loads(call.arguments)) == ("add", {"a": 3, "b": 4})
    given += [call.model_dump(), {"type": "function_call_output", "call_id": call.call_id, "output": "7"}]
    given.insert(1, {"type": "reasoning", "id": "r", "summary": []})
    second = client.responses.create(model="fake", input=given, tools=[ADD])
    assert second.output_text == "The tool says 7."


def test_a_forced_tool_and_a_schema_are_heeded(client: OpenAI) -> None:
    forced: Any = client.responses.create(
        model="fake", input="f(3)", tools=[ADD], tool_choice={"type": "function", "name": "add"}
    )
    assert json.loads(forced.output[0].arguments) == {"a": 3, "b": 1}
    form: Any = {"type": "json_schema", "name": "sum", "schema": ADD["parameters"]}
    found = client.responses.create(model="fake", input="f(3)", text={"format": form})
    assert json.loads(found.output_text) == {"a": 3, "b": 1}


@pytest.mark.parametrize("tools", [[], [ADD]])
def test_the_events_of_a_stream_are_numbered_and_add_up_to_the_whole(client: OpenAI, tools: Any) -> None:
    asked: Any = {"model": "fake+reasoning", "input": "What is 3 + 4?", "tools": tools}
    whole = client.responses.create(**asked)
    events: list[Any] = list(client.responses.create(**asked, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    arguments = "".join(
        event.delta for event in events if event.type == "response.function_call_arguments.delta"
    )
    assert text == whole.output_text
    assert (arguments != "") == bool(tools)
    assert [item.type for item in events[-1].response.output] == [item.type for item in whole.output]
    with client.responses.stream(**asked) as stream:
        assert stream.get_final_response().output_text == whole.output_text
