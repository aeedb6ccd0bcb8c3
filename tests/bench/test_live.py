"""The agents of `bench.live` with a scripted model in place of the real one: the same front, the same adapters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.live.agents import AGENTS, installed
from bench.live.tools import RULES, as_message, constrained, front
from bench.loopback import in_a_thread

SAID = [
    '{"name": "add", "arguments": {"a": 17, "b": 25}}',
    '{"name": "multiply", "arguments": {"a": 42, "b": 3}}',
    '{"answer": "126"}',
]


async def model(request: Request) -> JSONResponse:
    """Says what is next after so many results; refuses what a server without tools does not know."""
    body: dict[str, Any] = await request.json()
    assert "tools" not in body
    results = sum(message["content"].startswith("Result:") for message in body["messages"])
    message = {"role": "assistant", "content": SAID[results]}
    choices = [
        {"index": k, "finish_reason": "stop", "message": message, "logprobs": None}
        for k in range(body.get("n") or 1)
    ]
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    head = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
    return JSONResponse({**head, "choices": choices, "usage": usage})


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    app = Starlette(routes=[Route("/v1/chat/completions", model, methods=["POST"])])
    with in_a_thread(app) as upstream, in_a_thread(front(f"{upstream}/v1")) as url:
        yield f"{url}/v1"


@pytest.mark.parametrize("name", AGENTS)
def test_the_agent_calls_both_tools_and_answers(served: str, name: str) -> None:
    agent, module = AGENTS[name]
    if not installed(module):
        pytest.skip(f"{module} is not installed")
    lines = agent(served)
    assert [line for line in lines if line.startswith("tool:")] == ["tool: 42", "tool: 126"]
    said = [line for line in lines if line.startswith("ai:")]
    assert ["add" in said[0], "multiply" in said[1], said[2]] == [True, True, "ai: 126"]


def test_the_model_is_asked_for_a_call_first_and_after_two_results_for_the_answer() -> None:
    function = {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    }
    made = {"function": {"name": "add", "arguments": '{"a": 1}'}}
    turn = [
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "1", "content": "2"},
    ]
    asked = {"model": "m", "seed": 5, "tools": [{"type": "function", "function": function}]}
    begun = constrained({**asked, "messages": [{"role": "user", "content": "Go."}, *turn]})
    assert begun["seed"] == 5
    assert begun["messages"][0]["content"].startswith(f"{RULES}add: Adds.\n")
    assert begun["messages"][1:] == [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": '{"name": "add", "arguments": {"a": 1}}'},
        {"role": "user", "content": "Result: 2"},
    ]
    (call,) = begun["response_format"]["json_schema"]["schema"]["anyOf"]
    assert call["properties"]["name"] == {"const": "add"}
    ended = constrained({**asked, "messages": [*turn, *turn]})
    assert list(ended["response_format"]["json_schema"]["schema"]["properties"]) == ["answer"]


@pytest.mark.parametrize(
    ("written", "content", "calls"),
    [
        ('{"answer": "5"}', "5", None),
        ('{"answer": "cut o', '{"answer": "cut o', None),
        ('{"name": "f", "arguments": {"a": 1}}', None, [("f", {"a": 1})]),
    ],
)
def test_what_was_written_becomes_text_or_a_call(
    written: str, content: str | None, calls: list[Any] | None
) -> None:
    choice = as_message(3, written)
    assert choice["index"] == 3
    assert choice["message"]["content"] == content
    made = [one["function"] for one in choice["message"].get("tool_calls", [])]
    assert ([(one["name"], json.loads(one["arguments"])) for one in made] or None) == calls
    assert choice["finish_reason"] == ("tool_calls" if calls else "stop")
