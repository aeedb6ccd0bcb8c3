"""Streams of responses through the transports: by the SDK, with every way to be shown and to break."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import openai
import pytest

from adaptive_middleware import Middleware
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.testing.fake_sse import (
    RESET,
    Script,
    StreamServer,
    fake_sse,
    whole_reply,
)
from adaptive_middleware.transport.response_events import events_of, framed
from tests.transport.test_response_events import CALL, SAID, USAGE, body
from tests.transport.test_streams import cut_off, follows_and_samples, n_samples, prunes, shows_at

ADD = {
    "type": "function",
    "name": "add",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
}
REPLY_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req-live\r\nconnection: close\r\n\r\n"


def text(*paragraphs: str) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": one, "annotations": [], "logprobs": []} for one in paragraphs]
    return {**SAID, "content": parts}


def written(items: list[dict[str, Any]], **more: Any) -> list[bytes]:
    return [framed(event) for event in events_of(body(items, **more))]


GOOD = written([text("2 + 2 = 4\n\n", "The answer is 4.")])
ERROR = framed({"type": "error", "sequence_number": 9, "code": "server_error", "message": "overloaded"})


@pytest.fixture(scope="module")
def events() -> Iterator[StreamServer]:
    scripts: dict[str, Script] = {
        "good": [REPLY_HEAD, *GOOD],
        "bad": written([text("2 + 2 = 5\n\n", "The answer is 5.")]),
        "call": written([SAID, CALL]),
        "cut": GOOD[:6],
        "reset": [*GOOD[:6], RESET],
        "error": [*GOOD[:6], ERROR],
        "silent": [b": nothing\n\n"],
        "whole": [whole_reply(body([text("2 + 2 = 4")]))],
        "refused": [whole_reply({"error": {"message": "no", "code": "nope"}}, status=404)],
        "hangs": [*GOOD[:6], threading.Event()],
    }
    with fake_sse(scripts) as server:
        yield server


async def streamed(
    asking: Any, middleware: Any, model: str, url: str | None = None, **more: Any
) -> list[Any]:
    client = asking.client(middleware, **({} if url is None else {"base_url": url}))
    asked = {"model": model, "input": "What is 3 + 4?", "stream": True, **more}
    found: list[Any] = await asking.items(await asking.result(client.responses.create, **asked))
    return found


def numbered(found: Sequence[Any]) -> bool:
    return [event.sequence_number for event in found] == list(range(len(found)))


async def test_the_winner_of_three_is_a_stream_of_the_apis_events(asking: Any, server: Server) -> None:
    found = await streamed(asking, n_samples(3), "fake+arithmetic+reasoning")
    assert numbered(found)
    kinds = [event.type for event in found]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert "response.reasoning_summary_text.delta" in kinds
    said = "".join(event.delta for event in found if event.type == "response.output_text.delta")
    last = found[-1]
    assert (last.type, said) == ("response.completed", "3 + 4 = 7\nThe answer is 7.")
    assert last.response.output_text == said
    assert last.response.model_extra["adaptive"]["samples"] == 3
    (prompt,) = {len(json.dumps([{"role": "user", "content": one["input"]}]).split()) for one in server.calls}
    assert (len(server.calls), last.response.usage.input_tokens) == (3, 3 * prompt)
    assert last.response.usage.output_tokens_details.reasoning_tokens == 6
    assert all("stream" not in asked for asked in server.calls)


async def test_the_sdks_own_helper_gathers_the_winner(asking: Any, server: Server) -> None:
    client = asking.client(n_samples(3))
    asked = {"model": "fake", "input": "What is 3 + 4?", "tools": [ADD]}
    if asking.way.endswith("async"):
        async with client.responses.stream(**asked) as stream:
            found = await stream.get_final_response()
    else:

        def gathered() -> Any:
            with client.responses.stream(**asked) as stream:
                return stream.get_final_response()

        found = await asyncio.to_thread(gathered)
    (call,) = found.output
    assert (call.name, json.loads(call.arguments), call.parsed_arguments) == ("add", {"a": 3, "b": 4}, None)
    assert len(server.calls) == 3
    assert found.model_extra["adaptive"]["samples"] == 3


async def test_an_easy_call_is_the_providers_own_events(asking: Any, events: StreamServer) -> None:
    found = await streamed(asking, shows_at(0.9), "good", events.url)
    assert numbered(found)
    assert [event.type for event in found] == [one.split(b"\n")[0].decode()[7:] for one in GOOD]
    last = found[-1].response
    assert (last.output_text, last.model_extra["future"]) == ("2 + 2 = 4\n\nThe answer is 4.", {"x": 1.5})
    assert last.model_extra["adaptive"]["shown_from"] is not None
    assert last.usage.to_dict() == USAGE
    assert events.asked[-1]["stream"] is True
    assert "stream_options" not in events.asked[-1]


async def test_an_answer_that_is_not_shown_is_drawn_again_and_both_are_counted(
    asking: Any, events: StreamServer
) -> None:
    found = await streamed(asking, shows_at(0.97), "good", events.url)
    assert numbered(found)
    last = found[-1].response
    assert last.output_text == "2 + 2 = 4\n\nThe answer is 4."
    assert last.usage.input_tokens >= 5


async def test_a_strategy_that_reads_steps_reads_responses(asking: Any, events: StreamServer) -> None:
    client = asking.client(prunes(2), base_url=events.url)
    found = await asking.result(client.responses.create, model="good", input="2 + 2?")
    assert found.output_text == "2 + 2 = 4\n\nThe answer is 4."
    assert (found._request_id, found.usage.total_tokens) == ("req-live", 16)
    assert not found.model_extra["adaptive"]["degraded"]
    assert all(asked["stream"] is True for asked in events.asked[-2:])


async def test_a_provider_that_answers_whole_is_streamed_all_the_same(
    asking: Any, events: StreamServer
) -> None:
    found = await streamed(asking, shows_at(0.9), "whole", events.url)
    assert numbered(found)
    assert found[-1].response.output_text == "2 + 2 = 4"


async def test_tool_calls_come_with_their_event(asking: Any, events: StreamServer) -> None:
    found = await streamed(asking, shows_at(0.9), "call", events.url)
    calls = [event.item for event in found if event.type == "response.output_item.done"]
    assert [item.type for item in calls] == ["message", "function_call"]
    assert found[-1].response.output[1].arguments == '{"a": 1}'


@pytest.mark.parametrize("model", ["cut", "reset", "error"])
async def test_an_answer_that_breaks_off_after_it_was_shown_is_incomplete(
    asking: Any, events: StreamServer, model: str
) -> None:
    found = await streamed(asking, shows_at(0.9), model, events.url)
    last = found[-1]
    assert numbered(found)
    assert (last.type, last.response.status) == ("response.incomplete", "incomplete")
    assert last.response.output_text == "2 + 2 = 4\n\n"
    assert bool(last.response.model_extra["adaptive"]["degraded"]) == (model != "cut")


async def test_a_refusal_is_the_sdks_own_error(asking: Any, events: StreamServer) -> None:
    for middleware in (n_samples(2), shows_at(0.9)):
        with pytest.raises(openai.NotFoundError) as raised:
            await streamed(asking, middleware, "refused", events.url)
        assert raised.value.code == "nope"


async def test_a_client_that_leaves_ends_the_providers_stream(asking: Any, events: StreamServer) -> None:
    client = asking.client(shows_at(0.9), base_url=events.url)
    before = events.abandoned
    stream = await asking.result(client.responses.create, model="hangs", input="2 + 2?", stream=True)
    first = await (anext(stream) if asking.way.endswith("async") else asyncio.to_thread(next, stream))
    assert first.type == "response.created"
    await asking.result(stream.close)
    for _ in range(200):
        if events.abandoned > before:
            break
        await asyncio.sleep(0.01)
    assert events.abandoned == before + 1


async def test_an_error_after_something_was_shown_ends_the_stream_with_it(
    asking: Any, events: StreamServer
) -> None:
    with pytest.raises(openai.APIError, match="another one was chosen"):
        await streamed(asking, Middleware(follows_and_samples), "good", events.url)


async def test_an_answer_that_a_strategy_has_cut_off_is_an_incomplete_response(
    asking: Any, events: StreamServer
) -> None:
    client = asking.client(Middleware(cut_off), base_url=events.url)
    found = await asking.result(client.responses.create, model="good", input="2 + 2?")
    assert (found.output_text, found.status) == ("2 + 2 = 4\n\n", "incomplete")
    assert found.incomplete_details.reason == "max_output_tokens"
    events_seen = await streamed(asking, Middleware(cut_off), "good", events.url)
    last = events_seen[-1]
    assert numbered(events_seen)
    assert (last.type, last.response.output_text) == ("response.incomplete", "2 + 2 = 4\n\n")
    assert last.response.usage.input_tokens > 0
