"""The Responses API through the transport: what is drawn several times, what is not, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from adaptive_middleware import Middleware, Path, best_of_n, fixed
from adaptive_middleware.effects import Flow
from adaptive_middleware.rules import Rule
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.tool_rules import ToolRule
from adaptive_middleware.transport.call import read_call, written
from adaptive_middleware.transport.httpx2 import AdaptiveTransport, AsyncAdaptiveTransport
from adaptive_middleware.transport.replies import Refused, Reply, answer
from adaptive_middleware.transport.wire import RESPONSES
from adaptive_middleware.types import Outcome, Request, ToolCall, Usage

USAGE = {
    "input_tokens": 5,
    "output_tokens": 3,
    "total_tokens": 8,
    "input_tokens_details": {"cached_tokens": 2},
}
COMMON = {
    "object": "response",
    "created_at": 1,
    "model": "m",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}


def said(text: str, **more: Any) -> dict[str, Any]:
    logprobs = [{"token": text, "logprob": -0.25, "bytes": [], "top_logprobs": []}]
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}
    items: list[Any] = [{"type": "reasoning", "id": "r", "summary": []}]
    items += [{"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [part]}]
    return {**COMMON, "id": f"resp-{text}", "status": "completed", "output": items, "usage": USAGE, **more}


class Provider:
    """Answers 1, 2, 3, ... and keeps the bodies."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._numbers = count(1)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.bodies.append(request.content)
        number = str(next(self._numbers))
        return httpx2.Response(200, json=said(number), headers={"x-request-id": f"req-{number}"})


class NoStreams(Provider):
    """Refuses to stream."""

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if json.loads(request.content).get("stream"):
            return httpx2.Response(400, json={"error": {"message": "no streams here", "param": "stream"}})
        return super().__call__(request)


def two_is_right(path: Path) -> Sequence[float]:
    return [0.95 if path.text == "2" else 0.05] * max(len(path.steps), 1)


BEST = Middleware(best_of_n(fixed(3), max_samples=3), scorer=TableScorer(two_is_right))


def check(found: Any, provider: Provider) -> None:
    assert (found.output_text, found.id, found._request_id) == ("2", "resp-2", "req-2")
    assert (found.usage.total_tokens, found.usage.input_tokens_details.cached_tokens) == (24, 6)
    assert found.model_extra["adaptive"]["samples"] == 3
    assert len(set(provider.bodies)) == 1
    assert len(provider.bodies) == 3


def test_the_best_of_three_responses_comes_back_with_the_cost_of_all() -> None:
    provider = Provider()
    http = httpx2.Client(transport=AdaptiveTransport(BEST, httpx2.MockTransport(provider), max_concurrency=1))
    with OpenAI(api_key="none", base_url="http://model/v1", http_client=http) as client:
        check(client.responses.create(model="m", input="Which?", store=False), provider)


async def test_the_same_on_an_event_loop() -> None:
    provider = Provider()
    inner = httpx2.MockTransport(provider)
    http = httpx2.AsyncClient(transport=AsyncAdaptiveTransport(BEST, inner, max_concurrency=1))
    async with AsyncOpenAI(api_key="none", base_url="http://model/v1", http_client=http) as client:
        check(await client.responses.create(model="m", input="Which?", store=False), provider)


async def test_strategies_that_read_streams_take_whole_responses_where_there_are_no_others() -> None:
    middleware = Middleware(prune(fixed(3), max_samples=3), scorer=TableScorer(two_is_right))
    inner = httpx2.MockTransport(NoStreams())
    http = httpx2.AsyncClient(transport=AsyncAdaptiveTransport(middleware, inner, max_concurrency=1))
    async with AsyncOpenAI(api_key="none", base_url="http://model/v1", http_client=http) as client:
        found = await client.responses.create(model="m", input="Which?")
    assert found.output_text == "2"
    assert "NotStreaming" in (found.model_extra or {})["adaptive"]["degraded"][0]


def test_strategies_that_read_streams_take_whole_responses_from_threads() -> None:
    middleware = Middleware(prune(fixed(3), max_samples=3), scorer=TableScorer(two_is_right))
    inner = httpx2.MockTransport(NoStreams())
    http = httpx2.Client(transport=AdaptiveTransport(middleware, inner, max_concurrency=1))
    with OpenAI(api_key="none", base_url="http://model/v1", http_client=http) as client:
        assert client.responses.create(model="m", input="Which?").output_text == "2"


def test_a_refusal_is_the_sdks_own_error() -> None:
    def refuse(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(400, json={"error": {"message": "no", "code": "nope"}})

    http = httpx2.Client(transport=AdaptiveTransport(BEST, httpx2.MockTransport(refuse)))
    with (
        OpenAI(api_key="none", base_url="http://model/v1", http_client=http) as client,
        pytest.raises(openai.BadRequestError) as raised,
    ):
        client.responses.create(model="m", input="Which?")
    assert raised.value.code == "nope"


@pytest.mark.parametrize(
    "more",
    [
        {"store": True},
        {"previous_response_id": "r"},
        {"background": True},
        {"conversation": "conv-1"},
        {"prompt": {"id": "p"}},
        {"tools": [{"type": "function"}, {"type": "mcp"}]},
        {"input": [3]},
    ],
)
def test_what_must_not_be_drawn_several_times_is_passed_on(more: dict[str, Any]) -> None:
    provider = Provider()
    with httpx2.Client(transport=AdaptiveTransport(BEST, httpx2.MockTransport(provider))) as client:
        reply = client.post("http://model/v1/responses", json={"model": "m", "input": "?", **more})
    assert (len(provider.bodies), reply.json()) == (1, said("1"))


def test_a_response_without_input_has_no_question() -> None:
    assert read_call(written({"model": "m"}), [], "/v1/responses") is None


DEPLOY = {"type": "function_call", "id": "f", "call_id": "c", "name": "deploy", "arguments": "{}"}


def test_a_response_that_goes_out_once_is_still_subject_to_the_rules_of_tools() -> None:
    bodies: list[bytes] = []

    def provider(request: httpx2.Request) -> httpx2.Response:
        bodies.append(request.content)
        return httpx2.Response(200, json=said("1", output=[DEPLOY]))

    tool = ToolRule("deploy", target=0.9, on_fail="abstain")
    rule = Rule("sure", best_of_n(fixed(3), max_samples=3), tools=(tool,))
    middleware = Middleware(rules=(rule,), scorer=TableScorer(two_is_right))
    http = httpx2.Client(transport=AdaptiveTransport(middleware, httpx2.MockTransport(provider)))
    with OpenAI(api_key="none", base_url="http://model/v1", http_client=http) as client:
        found = client.responses.create(model="m", input="Go", previous_response_id="r")
    assert found.output_text.startswith("No tool was called: deploy must be right")
    assert [item.type for item in found.output] == ["message"]
    assert (len(bodies), found.usage and found.usage.total_tokens) == (1, 8)


def test_the_text_of_input_is_a_conversation() -> None:
    items = [
        {"role": "developer", "content": "Be brief."},
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Go"}, {"type": "input_image"}],
        },
        {"type": "reasoning", "summary": []},
        {"type": "custom_tool_call", "call_id": "1", "name": "run", "input": "ls"},
        {"type": "custom_tool_call_output", "call_id": "1", "output": "a b"},
    ]
    call = read_call(written({"model": "m", "input": items, "top_p": 1}), [], "/v1/responses")
    assert call is not None
    assert call.request.text == (
        'user: Go\n[input_image]\n\nassistant: [reasoning]\n\nassistant: run({"input": "ls"})\n\ntool: a b'
    )
    assert (call.request.messages, call.request.parameters) == (items, {"model": "m", "top_p": 1})


def test_a_reply_is_an_answer_with_its_calls_and_cost() -> None:
    calls = [
        {"type": "function_call", "call_id": "1", "name": "add", "arguments": '{"a": 2}'},
        {"type": "custom_tool_call", "call_id": "2", "name": "run", "input": "ls"},
    ]
    _, path = answer(reply({**said("x"), "output": [*said("x")["output"], *calls]}), RESPONSES)
    assert path.tool_calls == (ToolCall("add", {"a": 2}, "1"), ToolCall("run", {"input": "ls"}, "2"))
    assert (path.text, path.finish_reason, path.done, path.logprobs) == ("x", "tool_calls", True, (-0.25,))
    assert path.usage == Usage(5, 3, 2, requests=1)
    _, cut = answer(reply(said("x", status="incomplete", usage=None)), RESPONSES)
    assert (cut.finish_reason, cut.done, cut.usage) == ("length", False, Usage(requests=1, estimated=True))


def reply(body: object, status: int = 200) -> Reply:
    return Reply(status, [], json.dumps(body).encode())


@pytest.mark.parametrize(
    "came", [reply({}, 500), reply(said("x", status="failed")), reply({}), reply([]), reply(3)]
)
def test_a_reply_without_output_is_kept_for_the_client(came: Reply) -> None:
    with pytest.raises(Refused) as raised:
        answer(came, RESPONSES)
    assert raised.value.reply is came


@pytest.mark.parametrize(("reason", "status"), [("stop", "completed"), ("length", "incomplete")])
def test_words_in_place_of_an_answer_are_a_response(reason: str, status: str) -> None:
    def words(request: Request) -> Flow[Outcome]:
        outcome = yield from best_of_n(fixed(2), max_samples=2)(request)
        return replace(outcome, chosen=Path(("In words.",), done=False, finish_reason=reason))

    middleware = Middleware(words, scorer=TableScorer(two_is_right))
    inner = httpx2.MockTransport(Provider())
    http = httpx2.Client(transport=AdaptiveTransport(middleware, inner, max_concurrency=1))
    with OpenAI(api_key="none", base_url="http://model/v1", http_client=http) as client:
        found = client.responses.create(model="m", input="Which?")
    assert (found.output_text, found.status, found.id, found._request_id) == (
        "In words.",
        status,
        "resp-2",
        "req-2",
    )
    assert found.usage is not None
    assert found.usage.total_tokens == 16
