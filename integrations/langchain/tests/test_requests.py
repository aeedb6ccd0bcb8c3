"""The text the scorer reads, and LangChain's calls as requests and back."""

import uuid
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_adaptive.requests import Origin, conversation_text, inner_arguments, to_request

INNER = FakeListChatModel(responses=["a"])
IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], ""),
        ([HumanMessage("2 + 2?")], "2 + 2?"),
        ([SystemMessage("Be brief."), HumanMessage("2 + 2?")], "2 + 2?"),
        ([AIMessage("4")], "ai: 4"),
        ([HumanMessage(["a", {"type": "text", "text": "b"}, IMAGE])], "a\nb\n[image_url]"),
        (
            [
                HumanMessage("Weather?"),
                AIMessage(
                    [
                        {"type": "text", "text": "I look."},
                        {"type": "tool_use", "id": "1", "name": "w", "input": {}},
                    ],
                    tool_calls=[{"name": "weather", "args": {"ort": "Zürich"}, "id": "1"}],
                ),
                ToolMessage("sunny", tool_call_id="1"),
            ],
            'human: Weather?\n\nai: I look.\nweather({"ort": "Zürich"})\n\ntool: sunny',
        ),
    ],
)
def test_the_scorer_reads_the_conversation_as_documented(messages: list[BaseMessage], text: str) -> None:
    assert conversation_text(messages) == text


@pytest.mark.parametrize("tools", [None, [], [{"name": "t"}]])
@pytest.mark.parametrize("stop", [None, ["x"]])
def test_arguments_survive_the_round_trip(tools: Any, stop: Any) -> None:
    kwargs: dict[str, Any] = {"temperature": 0.5} if tools is None else {"temperature": 0.5, "tools": tools}
    request = to_request([HumanMessage("Hi")], stop, kwargs, INNER, Origin())
    assert inner_arguments(request) == {**kwargs, "stop": stop}
    assert ("tools" in request.parameters) == (tools == [])


def test_the_arguments_keep_the_order_that_bind_tools_gives_them() -> None:
    kwargs = {"tools": [1], "tool_choice": "auto", "temperature": 0}
    request = to_request([HumanMessage("Hi")], None, kwargs, INNER, Origin())
    assert list(inner_arguments(request)) == ["stop", *kwargs]


def test_a_run_gives_the_request_its_tags_its_site_and_its_id() -> None:
    run_id = uuid.uuid4()
    metadata = {"langgraph_node": "planner"}
    run = CallbackManagerForLLMRun(
        run_id=run_id, handlers=[], inheritable_handlers=[], tags=["a", "b"], metadata=metadata
    )
    assert Origin.of_run(run) == Origin(frozenset({"a", "b"}), "planner", str(run_id))
    named = Origin.of_config(
        {"metadata": {"call_site": "here", "langgraph_node": "planner"}, "tags": ["a"]}, ["b"]
    )
    assert named == Origin(frozenset({"a", "b"}), "here")
    assert Origin.of_config({}, None) == Origin()


def test_the_models_name_is_the_calls_or_the_inner_models() -> None:
    class Named(FakeListChatModel):
        model: str = "inner"

    inner = Named(responses=["a"])
    assert to_request([], None, {}, inner, Origin()).model == "inner"
    assert to_request([], None, {"model": "other"}, inner, Origin()).model == "other"
    assert to_request([], None, {}, INNER, Origin()).model is None
