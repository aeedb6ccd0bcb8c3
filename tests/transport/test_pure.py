"""What of a request the middleware sees, what is sent for its samples, and what becomes of replies; nothing is sent here."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.errors import DeadlineExceeded, SamplerError, TokensExceeded
from adaptive_middleware.strategies.first_good import first_good
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.transport.call import Call, read_call, written
from adaptive_middleware.transport.chunks import chunks_of, completion_of
from adaptive_middleware.transport.httpx2 import AdaptiveTransport
from adaptive_middleware.transport.replies import Refused, Reply, answer
from adaptive_middleware.transport.result import failure, total
from adaptive_middleware.transport.text import NOT_JSON, called_tools, conversation_text
from adaptive_middleware.transport.wire import CHAT
from adaptive_middleware.types import ToolCall, Usage

USER = {"role": "user", "content": "What is 2 + 2?"}
URL = "http://model/v1/chat/completions"


def call(headers: dict[str, str] | None = None, **body: Any) -> Call:
    found = read_call(written({"model": "m", "messages": [USER], **body}), [*(headers or {}).items()])
    assert found is not None
    return found


def reply(body: object, status: int = 200) -> Reply:
    return Reply(status, [], json.dumps(body).encode())


TEXTS = st.text(max_size=8)
CALLS = st.builds(
    lambda id_, name, text: {"id": id_, "type": "function", "function": {"name": name, "arguments": text}},
    TEXTS,
    TEXTS,
    TEXTS,
)
MESSAGES = st.one_of(
    st.builds(lambda text: {"role": "user", "content": text}, TEXTS),
    st.builds(
        lambda text: {"role": "user", "content": [{"type": "text", "text": text}, {"type": "image_url"}]},
        TEXTS,
    ),
    st.builds(
        lambda calls: {"role": "assistant", "content": None, "tool_calls": calls}, st.lists(CALLS, min_size=1)
    ),
    st.builds(lambda id_, text: {"role": "tool", "tool_call_id": id_, "content": text}, TEXTS, TEXTS),
)


@given(
    st.lists(MESSAGES, min_size=1, max_size=6),
    st.dictionaries(TEXTS.map("x-{}".format), st.floats(allow_nan=False), max_size=3),
)
def test_any_conversation_reaches_the_provider_byte_for_byte_for_every_sample(
    messages: list[Any], more: dict[str, Any]
) -> None:
    seen: list[tuple[bytes, Any]] = []

    def provider(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.content, request.headers.raw))
        return httpx2.Response(
            200, json={"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}
        )

    middleware = Middleware(best_of_n(fixed(3), max_samples=3, score=False))
    body = json.dumps({**more, "messages": messages}, ensure_ascii=False).encode()
    headers = {"x-unknown": "kept", "authorization": "Bearer secret", "content-type": "application/json"}
    bare = httpx2.Request("POST", URL, content=body, headers=headers)
    with httpx2.Client(transport=AdaptiveTransport(middleware, httpx2.MockTransport(provider))) as client:
        client.send(bare)
    assert len(seen) == 3
    for content, sent in seen:
        assert content == body
        assert sorted(sent) == sorted(bare.headers.raw)


def test_later_samples_get_seeds_and_idempotency_keys_of_their_own() -> None:
    asked = call({"Idempotency-Key": "k", "Content-Length": "9", "x-adaptive-tags": "a"}, seed=5, top_p=1)
    first, second = asked.form(asked.request, 0), asked.form(asked.request, 1)
    assert (first.content, first.headers, first.own) == (asked.content, [("Idempotency-Key", "k")], False)
    assert json.loads(second.content) == {**asked.body, "seed": 6}
    assert second.headers == [("Idempotency-Key", "k-1")]


def test_the_first_sample_is_the_clients_own_request_where_nothing_must_change() -> None:
    plain = call(top_p=1)
    assert [plain.form(plain.request, number).own for number in (0, 1)] == [True, False]
    assert not plain.form(replace(plain.request, deadline=1.0), 0).own
    assert not plain.form(replace(plain.request, parameters={"top_p": 2}), 0).own


def test_samples_are_asked_for_without_a_stream() -> None:
    asked = call(stream=True, stream_options={"include_usage": True}, top_p=1)
    assert asked.streams
    assert json.loads(asked.form(asked.request, 0).content) == {"model": "m", "messages": [USER], "top_p": 1}


def test_a_client_that_says_it_wants_no_stream_is_taken_at_its_word() -> None:
    asked = call(stream=False, top_p=1)
    assert not asked.streams
    assert asked.form(asked.request, 1).content == asked.content


def test_the_middleware_sees_messages_tools_parameters_model_and_labels() -> None:
    headers = {"X-Adaptive-Tags": "a, b,", "x-adaptive-call-site": "plan"}
    request = call(headers, tools=[{"type": "function"}], top_p=1, stream=True).request
    assert (request.text, request.messages, request.tools) == (
        "What is 2 + 2?",
        [USER],
        [{"type": "function"}],
    )
    assert request.parameters == {"model": "m", "top_p": 1}
    assert (request.tags, request.call_site, request.model) == (frozenset("ab"), "plan", "m")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"messages": 3}',
        b'{"messages": ["hi"]}',
        b'{"messages": [], "n": 2}',
        b"\xff",
        b"[" * 99999,
    ],
)
def test_what_is_no_call_of_ours_is_passed_on(body: bytes) -> None:
    assert read_call(body, []) is None
    seen: list[bytes] = []

    def provider(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.content)
        return httpx2.Response(400, json={"error": {"message": "bad"}})

    middleware = Middleware(best_of_n(fixed(3), score=False))
    with httpx2.Client(transport=AdaptiveTransport(middleware, httpx2.MockTransport(provider))) as client:
        assert client.post(URL, content=body).json() == {"error": {"message": "bad"}}
    assert seen == [body]


def test_a_compressed_body_is_passed_on() -> None:
    seen: list[bytes] = []

    def provider(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.content)
        return httpx2.Response(200, json={})

    middleware = Middleware(best_of_n(fixed(3), score=False))
    body = written({"messages": [USER]})
    with httpx2.Client(transport=AdaptiveTransport(middleware, httpx2.MockTransport(provider))) as client:
        client.post(URL, content=body, headers={"content-encoding": "gzip"})
    assert seen == [body]


def test_a_conversation_is_paragraphs_without_instructions() -> None:
    function = {"name": "add", "arguments": '{"a": 2}'}
    turns: list[Any] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, {"type": "image_url"}, "and"]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": function}]},
        {"role": "tool", "tool_call_id": "1", "content": "4"},
    ]
    assert conversation_text(turns) == 'user: Look:\n[image_url]\nand\n\nassistant: add({"a": 2})\n\ntool: 4'


def test_calls_of_functions_custom_tools_and_the_old_form_are_tool_calls() -> None:
    calls = [
        {"id": "1", "function": {"name": "add", "arguments": '{"a": 2}'}},
        {"id": "2", "function": {"name": "broken", "arguments": '{"a": '}},
        {"id": "3", "function": {"name": "list", "arguments": "[1]"}},
        {"id": "4", "function": {"name": "now", "arguments": ""}},
        {"id": "5", "type": "custom", "custom": {"name": "run", "input": "ls"}},
    ]
    old = {"name": "old", "arguments": "{}"}
    assert called_tools({"tool_calls": calls, "function_call": old}) == (
        ToolCall("add", {"a": 2}, "1"),
        ToolCall("broken", {NOT_JSON: '{"a": '}, "2"),
        ToolCall("list", {NOT_JSON: "[1]"}, "3"),
        ToolCall("now", {}, "4"),
        ToolCall("run", {"input": "ls"}, "5"),
        ToolCall("old", {}),
    )


def test_a_reply_is_an_answer_with_its_cost_and_how_it_ended() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
    cut = {"message": {"content": "Well,\n\n2"}, "finish_reason": "length"}
    came = reply({"choices": [cut], "usage": usage})
    completion, path = answer(came, CHAT)
    assert (path.text, path.done, path.finish_reason) == ("Well,\n\n2", False, "length")
    assert path.usage == Usage(3, 2, 1, requests=1)
    assert path.raw is completion
    assert completion.reply is came
    _, silent = answer(reply({"choices": [{"message": {"content": None}}]}), CHAT)
    assert silent.usage == Usage(requests=1, estimated=True)


@pytest.mark.parametrize(
    "came",
    [
        reply({"error": {}}, 500),
        reply({"error": {"message": "no"}}),
        reply({"choices": []}),
        reply([]),
        reply({"choices": [{"message": {"tool_calls": [{}]}}]}),
        Reply(200, [], b"<html>"),
        Reply(307, [("location", "/")], b""),
    ],
)
def test_a_reply_that_is_no_completion_is_kept_for_the_client(came: Reply) -> None:
    with pytest.raises(Refused) as raised:
        answer(came, CHAT)
    assert failure(raised.value) is came


def test_usage_is_summed_at_every_depth_and_other_values_are_the_last_known() -> None:
    bodies: list[Any] = [
        {"usage": {"total_tokens": 3, "cost": 0.5, "tier": "a", "details": {"cached": 1, "audio": None}}},
        {"usage": None},
        {},
        {"usage": {"total_tokens": 4, "cost": 0.25, "tier": None, "details": {"cached": 2, "audio": 5}}},
    ]
    assert total(bodies) == {
        "total_tokens": 7,
        "cost": 0.75,
        "tier": "a",
        "details": {"cached": 3, "audio": 5},
    }
    assert total([{}, {"usage": None}]) is None


@pytest.mark.parametrize(
    ("error", "status", "again"),
    [
        (DeadlineExceeded("late"), 504, "false"),
        (TokensExceeded("spent"), 429, "false"),
        (SamplerError("?"), 502, None),
    ],
)
def test_errors_of_ours_are_written_as_openai_writes_them(error: Any, status: int, again: str | None) -> None:
    said = failure(error)
    headers = dict(said.headers)
    assert (said.status, headers.get("x-should-retry")) == (status, again)
    assert json.loads(said.content)["error"] == {
        "message": str(error),
        "type": "adaptive_error",
        "param": None,
        "code": type(error).__name__,
    }


WORDS = st.text("ab ", min_size=1, max_size=5)
FUNCTIONS = st.fixed_dictionaries({"name": WORDS, "arguments": WORDS})
ANSWERS = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | WORDS},
    optional={
        "reasoning_content": WORDS,
        "annotations": st.lists(st.just({"type": "url"}) | WORDS, min_size=1),
        "audio": st.just({"id": "a", "data": "b"}),
        "tool_calls": st.lists(st.fixed_dictionaries({"id": WORDS, "function": FUNCTIONS}), min_size=1),
    },
)


@given(ANSWERS, st.sampled_from(["stop", "length", "tool_calls"]))
def test_the_chunks_of_a_completion_add_up_to_it_again(message: dict[str, Any], reason: str) -> None:
    choice = {"index": 0, "message": message, "finish_reason": reason, "stop_reason": 7}
    if message["content"]:
        choice["logprobs"] = {"content": [{"token": "a", "logprob": -0.5}], "refusal": None}
    body = {"id": "c", "object": "chat.completion", "model": "m", "created": 3, "choices": [choice]}
    assert completion_of([*chunks_of(body)]) == body


def test_parts_with_the_same_index_are_one_and_null_changes_nothing() -> None:
    def chunk(**delta: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": delta}], "system_fingerprint": None}

    def part(index: int, text: str | None) -> list[Any]:
        return [{"index": index, "function": {"name": None if text is None else "f", "arguments": text}}]

    chunks = [chunk(tool_calls=part(0, "a")), chunk(tool_calls=part(1, "b")), chunk(tool_calls=part(0, None))]
    found = completion_of([*chunks, chunk(content=None)])
    (choice,) = found["choices"]
    assert [call["function"] for call in choice["message"]["tool_calls"]] == [
        {"name": "f", "arguments": "a"},
        {"name": "f", "arguments": "b"},
    ]
    assert (choice["finish_reason"], found["system_fingerprint"]) == ("length", None)


@pytest.mark.parametrize("stream", [False, True])
def test_compressed_replies_are_answers_like_others(stream: bool) -> None:
    whole = {"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}
    events = [{"choices": [{"index": 0, "delta": {"content": "4"}, "finish_reason": "stop"}]}]

    def provider(request: httpx2.Request) -> httpx2.Response:
        streams = json.loads(request.content).get("stream", False)
        plain = b"".join(b"data: " + written(one) + b"\n\n" for one in events) if streams else written(whole)
        kind = "text/event-stream" if streams else "application/json"
        headers = {"content-type": kind, "content-encoding": "gzip", "x-request-id": "r"}
        return httpx2.Response(200, headers=headers, content=gzip.compress(plain))

    otherwise = best_of_n(fixed(2), max_samples=2)
    strategy = first_good(otherwise, good=0.5, by="mean") if stream else otherwise
    middleware = Middleware(strategy, scorer=TableScorer(0.9))
    with httpx2.Client(transport=AdaptiveTransport(middleware, httpx2.MockTransport(provider))) as client:
        found = client.post(URL, json={"messages": [USER], "stream": stream})
    assert (found.headers["x-request-id"], "content-encoding" in found.headers) == ("r", False)
    assert '"content":"4"' in found.text
