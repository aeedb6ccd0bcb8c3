"""Streams through the transports: the winner as a stream, an answer that is shown while it is written, and broken ones."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import openai
import pytest

from adaptive_middleware import Middleware, Path, best_of_n, fixed
from adaptive_middleware.effects import Advance, Begin, Drop, Flow, Follow
from adaptive_middleware.strategies.first_good import first_good
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.testing.fake_sse import (
    RESET,
    Item,
    Script,
    StreamServer,
    event,
    fake_sse,
    whole_reply,
)
from adaptive_middleware.types import Outcome, Request

GOOD = ["2 + 2", " = 4\n\n", "The answer", " is 4."]
BAD = ["2 + 2", " = 5\n\n", "The answer", " is 5."]
HEAD = {
    "id": "c-1",
    "object": "chat.completion.chunk",
    "created": 7,
    "model": "live",
    "system_fingerprint": "fp",
}
DONE = b"data: [DONE]\n\n"
REPLY_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req-live\r\nconnection: close\r\n\r\n"
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
}
COUNTED = {"stream_options": {"include_usage": True}}


def n_samples(n: int) -> Middleware:
    return Middleware(best_of_n(fixed(n), max_samples=n, score=False))


def four_is_right(path: Path) -> Sequence[float]:
    return [0.95 if "5" not in path.text else 0.05] * max(len(path.steps), 1)


def shows_at(good: float) -> Middleware:
    otherwise = best_of_n(fixed(1), max_samples=1)
    return Middleware(first_good(otherwise, good=good, by="mean"), scorer=TableScorer(four_is_right))


def prunes(n: int) -> Middleware:
    return Middleware(
        prune(fixed(n), max_samples=n, keep=lambda _state, one: int(one.estimate.mean > 0.5)),  # type: ignore[union-attr]
        scorer=TableScorer(four_is_right),
    )


def chunk(reason: str | None = None, **delta: Any) -> bytes:
    return event({**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def counted(prompt: int, completion: int) -> bytes:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return event({**HEAD, "choices": [], "usage": usage})


def said(pieces: Sequence[str]) -> list[Item]:
    return [chunk(content=piece, reasoning_content="hm ") for piece in pieces]


def answered(pieces: Sequence[str]) -> list[Item]:
    return [*said(pieces), chunk("stop"), counted(5, len(pieces)), DONE]


@pytest.fixture(scope="module")
def events() -> Iterator[StreamServer]:
    scripts: dict[str, Script | Callable[[Mapping[str, Any]], Script]] = {
        "good": [REPLY_HEAD, *answered(GOOD)],
        "one of two": _one_of_two(),
        "breaks": [*said(GOOD[:3]), RESET],
        "error": [*said(GOOD[:3]), event({"error": {"message": "overloaded", "type": "server"}})],
        "cut": said(GOOD),
        "whole": lambda body: [
            whole_reply(
                {"id": "w", "choices": [{"index": 0, "message": {"content": "4"}, "finish_reason": "stop"}]}
            )
        ],
        "refused": [whole_reply({"error": {"message": "no", "code": "nope"}}, status=404)],
        "call": [
            chunk(content="I add."),
            chunk(
                tool_calls=[
                    {"index": 0, "id": "1", "type": "function", "function": {"name": "add", "arguments": ""}}
                ]
            ),
            chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"a": '}}]),
            chunk(tool_calls=[{"index": 0, "function": {"arguments": "3"}}]),
            chunk("tool_calls"),
            counted(5, 9),
            DONE,
        ],
        "silent": [DONE],
        "no chunk": [*said(GOOD[:1]), event({"choices": [3]})],
        "unended": [*answered(GOOD)[:-2], counted(5, 4).rstrip()],
        "ended twice": [chunk("stop", content="4"), chunk("stop", content="!"), DONE],
    }
    with fake_sse(scripts) as server:
        yield server


def _one_of_two() -> Callable[[Mapping[str, Any]], Script]:
    number = count(1)
    return lambda _body: answered(GOOD) if next(number) % 2 == 0 else [*said(BAD[:3]), 600.0]


def text(chunks: Sequence[Any]) -> str:
    return "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)


async def streamed(
    asking: Any, middleware: Middleware, model: str, events: StreamServer, **body: Any
) -> list[Any]:
    client = asking.client(middleware, base_url=events.url)
    asked = {"model": model, "messages": [{"role": "user", "content": "2 + 2?"}], "stream": True, **body}
    found: list[Any] = await asking.items(await asking.result(client.chat.completions.create, **asked))
    return found


async def test_a_winner_is_a_stream_with_the_cost_of_all_samples(asking: Any, server: Server) -> None:
    bare = await asking.chat(asking.client(None), "arithmetic")
    server.reset()
    stream = await asking.chat(asking.client(n_samples(3)), "arithmetic", stream=True, **COUNTED)
    assert stream.response.headers["x-adaptive-samples"] == "3"
    assert stream.response.headers["x-request-id"].startswith("req-")
    *chunks, last, usage = await asking.items(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert text(chunks) == bare.choices[0].message.content
    assert last.choices[0].finish_reason == "stop"
    assert last.model_extra["adaptive"]["samples"] == 3
    assert {one.object for one in (*chunks, last, usage)} == {"chat.completion.chunk"}
    assert (usage.choices, usage.usage.total_tokens) == ([], 3 * bare.usage.total_tokens)
    assert all("stream" not in body and "stream_options" not in body for body in server.calls)


async def test_usage_is_not_streamed_to_a_client_that_did_not_ask(asking: Any) -> None:
    stream = await asking.chat(asking.client(n_samples(2)), "arithmetic", stream=True, logprobs=True)
    chunks = await asking.items(stream)
    assert all(one.choices and one.usage is None for one in chunks)
    tokens = [one.choices[0].logprobs.content for one in chunks if one.choices[0].logprobs]
    assert len(tokens) == 1
    assert "".join(token.token for token in tokens[0]) == text(chunks)


async def test_tool_calls_of_a_winner_are_streamed(asking: Any) -> None:
    stream = await asking.chat(asking.client(n_samples(2)), "constant", stream=True, tools=[ADD])
    chunks = await asking.items(stream)
    parts = [part for one in chunks for part in one.choices[0].delta.tool_calls or ()]
    assert [(part.index, part.id, part.function.name) for part in parts] == [(0, "call-0", "add")]
    assert json.loads(parts[0].function.arguments) == {"a": 3, "b": 4}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_a_rule_that_passes_calls_through_streams_the_providers_own_events(
    asking: Any, server: Server
) -> None:
    bare = await asking.items(await asking.chat(asking.client(None), "arithmetic", stream=True))
    passed = await asking.items(await asking.chat(asking.client(Middleware()), "arithmetic", stream=True))
    assert [one.choices for one in passed] == [one.choices for one in bare]
    assert server.calls[0] == server.calls[1]


async def test_a_refusal_of_a_stream_is_the_sdks_own_error(asking: Any) -> None:
    with pytest.raises(openai.RateLimitError):
        await asking.chat(asking.client(n_samples(2)), "limit", stream=True)


async def test_a_good_first_answer_is_shown_chunk_by_chunk(asking: Any, events: StreamServer) -> None:
    chunks = await streamed(asking, shows_at(0.9), "good", events, **COUNTED)
    assert [one.choices[0].delta.content for one in chunks[:4]] == GOOD
    assert [one.choices[0].delta.model_extra["reasoning_content"] for one in chunks[:4]] == ["hm "] * 4
    assert {(one.id, one.created, one.system_fingerprint) for one in chunks} == {("c-1", 7, "fp")}
    last, usage = chunks[4:]
    assert (last.choices[0].finish_reason, last.model_extra["adaptive"]["shown_from"]) == ("stop", 0)
    assert usage.usage.total_tokens == 9


async def test_an_answer_is_seen_before_the_provider_has_ended_it(asking: Any) -> None:
    go_on = threading.Event()
    with fake_sse({"slow": [REPLY_HEAD, *said(GOOD[:2]), go_on, *answered(GOOD[2:])]}) as server:
        client = asking.client(shows_at(0.9), base_url=server.url)
        asked = {"model": "slow", "messages": [{"role": "user", "content": "2 + 2?"}], "stream": True}
        stream = await asking.result(client.chat.completions.create, **asked)
        assert stream.response.headers["x-request-id"] == "req-live"
        first = await _next(asking, stream)
        go_on.set()
        rest = await asking.items(stream)
    assert text([first, *rest]) == "".join(GOOD)


async def test_a_client_that_leaves_ends_the_providers_stream(asking: Any) -> None:
    with fake_sse({"endless": [*said(GOOD[:2]), 600.0]}) as server:
        client = asking.client(shows_at(0.9), base_url=server.url)
        asked = {"model": "endless", "messages": [{"role": "user", "content": "2 + 2?"}], "stream": True}
        stream = await asking.result(client.chat.completions.create, **asked)
        await _next(asking, stream)
        await asking.result(stream.close)
        while server.open:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.002)
        assert server.abandoned == 1


async def _next(asking: Any, stream: Any) -> Any:
    return await anext(stream) if asking.way.endswith("async") else await asyncio.to_thread(next, stream)


async def test_an_unlikely_first_answer_is_dropped_and_the_next_is_the_winner(
    asking: Any, events: StreamServer
) -> None:
    chunks = await streamed(asking, prunes(2), "one of two", events, **COUNTED)
    assert text(chunks) == "".join(GOOD)
    assert len(chunks[-2].model_extra["adaptive"]["dropped"]) == 1
    report = chunks[-2].model_extra["adaptive"]
    assert chunks[-1].usage.completion_tokens == report["usage"]["completion_tokens"] > len(GOOD)


async def test_a_client_that_does_not_stream_gets_a_pruned_answer_whole(
    asking: Any, events: StreamServer
) -> None:
    client = asking.client(prunes(2), base_url=events.url)
    asked = {"model": "one of two", "messages": [{"role": "user", "content": "2 + 2?"}]}
    found = await asking.result(client.chat.completions.create, **asked)
    assert found.choices[0].message.content == "".join(GOOD)
    assert found.choices[0].message.model_extra["reasoning_content"] == "hm " * 4
    assert (found.object, found.id, found.choices[0].finish_reason) == ("chat.completion", "c-1", "stop")
    report = found.model_extra["adaptive"]
    assert len(report["dropped"]) == 1
    assert found.usage.prompt_tokens == report["usage"]["prompt_tokens"]
    assert found.usage.completion_tokens == report["usage"]["completion_tokens"]


async def test_parts_of_tool_calls_are_shown_and_whole_ones_come_in_one_piece(
    asking: Any, events: StreamServer
) -> None:
    chunks = await streamed(asking, shows_at(0.9), "call", events)
    parts = [part.function.arguments for one in chunks for part in one.choices[0].delta.tool_calls or ()]
    assert parts == ["", '{"a": ', "3"]  # broken JSON is the client's to see, as without us
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    client = asking.client(prunes(1), base_url=events.url)
    asked = {"model": "call", "messages": [{"role": "user", "content": "2 + 2?"}]}
    found = await asking.result(client.chat.completions.create, **asked)
    (call,) = found.choices[0].message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == ("1", "add", '{"a": 3')


@pytest.mark.parametrize("model", ["breaks", "error", "cut"])
async def test_an_answer_that_breaks_off_after_it_was_shown_is_incomplete(
    asking: Any, events: StreamServer, model: str
) -> None:
    chunks = await streamed(asking, shows_at(0.9), model, events)
    assert "".join(GOOD).startswith(text(chunks))
    assert len(text(chunks)) >= len("".join(GOOD[:3]))
    assert chunks[-1].choices[0].finish_reason == "length"


async def test_a_provider_that_does_not_stream_is_asked_for_a_whole_answer(
    asking: Any, events: StreamServer
) -> None:
    chunks = await streamed(asking, shows_at(0.9), "whole", events)
    assert text(chunks) == "4"
    assert "NotStreaming" in chunks[-1].model_extra["adaptive"]["degraded"][0]


async def test_a_stream_that_is_refused_is_the_sdks_own_error(asking: Any, events: StreamServer) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        await streamed(asking, shows_at(0.9), "refused", events)
    assert raised.value.code == "nope"


async def test_a_stream_without_a_chunk_is_an_error(asking: Any, events: StreamServer) -> None:
    with pytest.raises(openai.APIStatusError):
        await streamed(asking, prunes(1), "silent", events)


def cut_off(request: Request) -> Flow[Outcome]:
    opened = yield from Begin(request, 1)
    read = yield from Advance(request, tuple(opened))
    (path,) = yield from Drop(request, tuple(read))
    return Outcome(replace(path, finish_reason="length"), usage=path.usage)


async def test_an_answer_that_a_strategy_has_cut_off_is_incomplete(asking: Any, events: StreamServer) -> None:
    client = asking.client(Middleware(cut_off), base_url=events.url)
    asked = {"model": "good", "messages": [{"role": "user", "content": "2 + 2?"}]}
    found = await asking.result(client.chat.completions.create, **asked)
    assert (found.choices[0].message.content, found.choices[0].finish_reason) == ("2 + 2 = 4\n\n", "length")
    assert (found.model, found.usage.completion_tokens > 0) == ("good", True)
    chunks = await streamed(asking, Middleware(cut_off), "good", events)
    assert (text(chunks), chunks[-1].choices[0].finish_reason) == ("2 + 2 = 4\n\n", "length")


def follows_and_samples(request: Request) -> Flow[Outcome]:
    (path,) = yield from Begin(request, 1)
    yield from Follow(request, path)
    opened = yield from Begin(request, 1)
    read = yield from Advance(request, tuple(opened))
    return Outcome(read[0])


async def test_an_error_after_something_was_shown_ends_the_stream_with_it(
    asking: Any, events: StreamServer
) -> None:
    with pytest.raises(openai.APIError, match="another one was chosen"):
        await streamed(asking, Middleware(follows_and_samples), "ended twice", events)


async def test_a_foreign_chunk_ends_an_answer(asking: Any, events: StreamServer) -> None:
    chunks = await streamed(asking, shows_at(0.9), "no chunk", events)
    assert (text(chunks), chunks[-1].choices[0].finish_reason) == (GOOD[0], "length")
    assert "a chunk of the stream is not one" in chunks[-1].model_extra["adaptive"]["degraded"][0]


async def test_a_last_event_without_its_blank_line_counts(asking: Any, events: StreamServer) -> None:
    chunks = await streamed(asking, shows_at(0.9), "unended", events, **COUNTED)
    assert (text(chunks), chunks[-1].usage.total_tokens) == ("".join(GOOD), 9)


async def test_whatever_the_provider_says_after_the_end_is_passed_on(
    asking: Any, events: StreamServer
) -> None:
    chunks = await streamed(asking, shows_at(0.9), "ended twice", events)
    assert [(one.choices[0].delta.content, one.choices[0].finish_reason) for one in chunks] == [
        ("4", "stop"),
        ("!", "stop"),
    ]


def helped(client: openai.OpenAI) -> tuple[Any, Any, list[Any]]:
    """The parsed tool arguments, the usage and the chunks that the SDK's own stream helper gathers."""
    function: Any = ADD["function"]
    strict: Any = {**function, "strict": True}
    with client.chat.completions.stream(
        model="fake+constant",
        messages=[{"role": "user", "content": "Add 3 and 4."}],
        tools=[{"type": "function", "function": strict}],
        stream_options={"include_usage": True},
    ) as stream:
        chunks = [one.chunk for one in stream if one.type == "chunk"]
        found = stream.get_final_completion()
    calls: Any = found.choices[0].message.tool_calls
    return calls[0].function.parsed_arguments, found.usage, chunks


@pytest.mark.parametrize(("middleware", "times"), [(n_samples(3), 3), (shows_at(0.9), 1)])
def test_the_sdks_stream_helper_gathers_the_winner_or_the_answer_that_is_shown(
    of_sdk: Any, server: Server, middleware: Middleware, times: int
) -> None:
    with openai.OpenAI(base_url=server.url, api_key="none") as bare:
        arguments, usage, _ = helped(bare)
    http = openai.DefaultHttpxClient(transport=of_sdk.AdaptiveTransport(middleware))
    with openai.OpenAI(base_url=server.url, api_key="none", http_client=http) as client:
        found, cost, chunks = helped(client)
    assert found == arguments == {"a": 3, "b": 4}
    assert cost.total_tokens == times * usage.total_tokens
    assert chunks[-2].model_extra["adaptive"]["samples"] == times


async def test_a_cancelled_call_ends_all_its_requests(of_sdk: Any, server: Server) -> None:
    http = openai.DefaultAsyncHttpxClient(transport=of_sdk.AsyncAdaptiveTransport(n_samples(3)))
    async with openai.AsyncOpenAI(base_url=server.url, api_key="none", http_client=http) as client:
        asked = client.chat.completions.create(
            model="fake+constant+delay=20000", messages=[{"role": "user", "content": "Hi"}]
        )
        call = asyncio.ensure_future(asked)
        while server.in_flight < 3:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.002)
        call.cancel()
        while server.abandoned < 3:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.002)
        with pytest.raises(asyncio.CancelledError):
            await call
