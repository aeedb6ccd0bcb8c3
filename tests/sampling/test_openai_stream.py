"""Streams over real HTTP on loopback: what a good server sends, and every way in which a bad one fails."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from adaptive_middleware.errors import NotStreaming, SamplerError
from adaptive_middleware.sampling.astreams import AsyncStepStreamer
from adaptive_middleware.sampling.chunks import ProviderError
from adaptive_middleware.sampling.openai_http import Endpoint
from adaptive_middleware.sampling.openai_stream import AsyncOpenAIStream, OpenAIStream, Patience
from adaptive_middleware.sampling.sse import Events, MalformedStream
from adaptive_middleware.sampling.streams import StepStreamer
from adaptive_middleware.testing.fake_sse import (
    CUT,
    RESET,
    Script,
    StreamServer,
    answer_script,
    chunk,
    event,
    fake_sse,
    whole_reply,
)
from adaptive_middleware.types import Path, Request, ToolCall, Usage

ASKED = Request("What is 2 + 2?")
TEXT = ["2 + 2", " = 4\n", "\nThe answer", " is 4."]
STOP, DONE = chunk("", "stop"), b"data: [DONE]\n\n"
SHORT = Patience(connect=1.0, first=0.3, idle=0.2)


def called(index: int, **function: str) -> bytes:
    part = {"index": index, "id": f"call-{index}" if "name" in function else None, "function": function}
    return event({"choices": [{"index": 0, "delta": {"tool_calls": [part]}, "finish_reason": None}]})


SCRIPTS: dict[str, Script] = {
    "good": answer_script(TEXT),
    "crlf": [item.replace(b"\n", b"\r\n") if isinstance(item, bytes) else item for item in answer_script(TEXT)],
    "bom": [b"\xef\xbb\xbf", *answer_script(TEXT)],
    "comments": [b": ping\n\n", b"event: message\nid: 7\nretry: 10\n", *answer_script(TEXT), b": bye\n\n"],
    "many lines": [b'data: {"choices": [{"delta":\ndata: {"content": "4"}}]}\n\n', STOP, DONE],
    "bytes": [bytes([byte]) for byte in b"".join(item for item in answer_script(TEXT) if isinstance(item, bytes))],
    "one packet": [b"".join(item for item in answer_script(TEXT) if isinstance(item, bytes))],
    "no done": answer_script(TEXT)[:-1],
    "no last line": [*answer_script(TEXT)[:-2], event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 4}})[:-2]],
    "late cut": [*answer_script(TEXT)[:-2], CUT],
    "early": [chunk("2 + 2")],
    "cut": [chunk("2 + 2"), CUT],
    "reset": [chunk("2 + 2"), 0.05, RESET],
    "stall": [chunk("2 + 2"), 5.0, STOP],
    "not json": [chunk("2 + 2"), b"data: {oops\n\n"],
    "list": [chunk("2 + 2"), b"data: [1]\n\n"],
    "foreign": [chunk("2 + 2"), event({"type": "ping"})],
    "odd choice": [chunk("2 + 2"), event({"choices": [{"delta": [1]}]})],
    "deep": [chunk("2 + 2"), b"data: " + b"[" * 200_000 + b"\n\n"],
    "latin": [chunk("2 + 2"), b'data: {"choices": [{"delta": {"content": "\xe9t\xe9"}}]}\n\n'],
    "half a character": [chunk("2 + 2"), b"data: \xe2\x82"],
    "ten megabytes": [chunk("2 + 2"), *[b"x" * 2**20] * 10],
    "error event": [chunk("2 + 2"), event({"error": {"message": "overloaded"}})],
    "refuses": [whole_reply({"error": {"message": "no such model"}}, status=404)],
    "error body": [whole_reply({"error": {"message": "quota"}})],
    "html": [whole_reply(b"<html>Log in</html>", kind="text/html")],
    "bomb": [whole_reply(gzip.compress(b"0" * 50_000_000), kind="text/event-stream", content_encoding="gzip")],
    "whole": [whole_reply({"choices": [{"message": {"content": "4"}}]})],
    "no stream": [whole_reply({"error": {"message": "'stream' is not supported"}}, status=400)],
    "busy": [whole_reply({"error": "later"}, status=503, retry_after="0")],
    "later": [whole_reply({"error": "later"}, status=429, retry_after="30")],
    "silent": [b"HTTP/1.1 ", 5.0],
    "slow refusal": [b"HTTP/1.1 400 no\r\ncontent-length: 9\r\n\r\nno", 5.0],
    "empty": [STOP, DONE],
    "tiny": answer_script(["x\n\n"] * 500),
    "characters": answer_script([*"a\n\nb\n\nc"]),
    "empty steps": answer_script(["\n\n\n", "a\n\n", "\n\n", " \n\n", "b"]),
    "logprobs": [
        event({"choices": [{"delta": {"content": "a b"}, "logprobs": {"content": [{"logprob": -0.5}, {"logprob": 0.1}]}}]}),
        STOP,
        DONE,
    ],
    "calls": [
        called(0, name="add", arguments='{"a"'),
        called(1, name="sub", arguments=""),
        called(0, arguments=": 1}"),
        chunk("", "tool_calls"),
        DONE,
    ],
    "bad call": [called(0, name="add", arguments="[1]"), chunk("", "tool_calls"), DONE],
}  # fmt: skip
COUNTS = {
    "null": None,
    "negative": {"prompt_tokens": 5, "completion_tokens": -3},
    "absurd": {"prompt_tokens": 5, "completion_tokens": 10**30},
    "words": {"prompt_tokens": "5", "completion_tokens": True},
}
SCRIPTS |= {
    name: [chunk("12345678", "stop"), event({"choices": [], "usage": said}), DONE]
    for name, said in COUNTS.items()
}


@pytest.fixture(scope="module")
def server() -> Iterator[StreamServer]:
    with fake_sse(SCRIPTS) as running:
        yield running


Read = Callable[..., Any]


@pytest.fixture(params=["threads", "tasks"])
def read(request: pytest.FixtureRequest, server: StreamServer) -> Read:
    """Reads an answer of a model to its end; a list of the paths seen."""

    async def reading(model: str, asked: Request = ASKED, attempts: int = 2, **settings: Any) -> list[Path]:
        endpoint = Endpoint(server.url, model, attempts=attempts, key="secret")
        settings = {"patience": SHORT, **settings}
        if request.param == "threads":
            with_threads = OpenAIStream(endpoint, **settings)
            with with_threads.client:
                return walked(StepStreamer(with_threads), asked)
        with_tasks = AsyncOpenAIStream(endpoint, **settings)
        async with with_tasks.client:
            return await awalked(AsyncStepStreamer(with_tasks), asked)

    return reading


def walked(streamer: StepStreamer, asked: Request) -> list[Path]:
    (path,) = streamer.begin(asked, 1)
    seen = []
    while not path.ended:
        (path,) = streamer.advance(asked, [path])
        seen.append(path)
    return seen


async def awalked(streamer: AsyncStepStreamer, asked: Request) -> list[Path]:
    (path,) = await streamer.abegin(asked, 1)
    seen = []
    while not path.ended:
        (path,) = await streamer.aadvance(asked, [path])
        seen.append(path)
    return seen


GOOD = ["good", "crlf", "bom", "comments", "bytes", "one packet", "no done", "no last line"]


@pytest.mark.parametrize("model", GOOD)
async def test_a_good_stream_is_read_step_by_step_however_it_is_written(read: Read, model: str) -> None:
    seen = await read(model)
    assert seen[0].steps == ("2 + 2 = 4\n\n",)
    last = seen[-1]
    assert (last.text, last.done, last.finish_reason) == ("".join(TEXT), True, "stop")
    assert last.usage == Usage(5, 4, requests=1)


async def test_the_request_says_what_was_set(read: Read, server: StreamServer) -> None:
    await read("good", Request("x", messages=[{"role": "user", "content": "y"}]), extra={"seed": 3})
    body = server.asked[-1]
    assert (body["stream"], body["stream_options"], body["seed"]) == (True, {"include_usage": True}, 3)
    assert body["messages"] == [{"role": "user", "content": "y"}]
    assert server.paths[-1] == "/v1/chat/completions"


async def test_data_of_several_lines_is_one_event(read: Read) -> None:
    assert (await read("many lines"))[-1].text == "4"


async def test_an_answer_that_had_ended_when_the_connection_broke_is_complete(read: Read) -> None:
    (*_, last) = await read("late cut")
    assert (last.done, last.error, last.text) == (True, None, "".join(TEXT))


async def test_a_stream_that_ends_early_is_truncated(read: Read) -> None:
    (last,) = await read("early")
    assert (last.done, last.finish_reason, last.text) == (False, "truncated", "2 + 2")


FAULTS = {
    "cut": "BrokenStream: ",
    "reset": "BrokenStream: ",
    "stall": "StreamStalled: no piece of the streamed answer in 0.2 s",
    "not json": "MalformedStream: an event of the stream is not JSON",
    "list": "MalformedStream: an event of the stream is not a JSON object: '[1]'",
    "foreign": "MalformedStream: a chunk of the stream is not one (KeyError: 'choices')",
    "odd choice": "MalformedStream: a chunk of the stream is not one (AttributeError",
    "deep": "MalformedStream: an event of the stream is not JSON",
    "latin": "MalformedStream: the stream is not UTF-8",
    "half a character": "MalformedStream: the stream is not UTF-8",
    "ten megabytes": "MalformedStream: an event of the stream is longer than 1048576 characters: it begins 'xxxx",
    "error event": 'ProviderError: the endpoint reported an error: {"message": "overloaded"}',
}


@pytest.mark.parametrize("model", FAULTS)
async def test_a_fault_in_mid_stream_is_a_typed_error_that_keeps_text_and_cost(
    read: Read, server: StreamServer, model: str
) -> None:
    before = server.requests[model]
    (last,) = await read(model)
    assert str(last.error).startswith(FAULTS[model])
    assert (last.text, last.done) == ("2 + 2", False)
    assert last.usage == Usage(4, 2, requests=1, estimated=True)
    assert server.requests[model] == before + 1, "what had begun was asked for again"


REFUSALS: Mapping[str, tuple[type[Exception], str]] = {
    "refuses": (SamplerError, "refused a request for 'refuses': HTTP 404: .*no such model"),
    "error body": (ProviderError, "reported an error: .*quota"),
    "html": (MalformedStream, r"did not answer with a stream of events \(text/html\): <html>Log in"),
    "bomb": (MalformedStream, "a body in gzip"),
    "whole": (NotStreaming, "answers in one piece"),
    "no stream": (NotStreaming, "does not stream 'no stream': HTTP 400"),
    "busy": (SamplerError, "no answer in 2 attempts.*HTTP 503"),
    "silent": (SamplerError, "no answer in 2 attempts.*ReadTimeout"),
    "slow refusal": (SamplerError, "no answer in 2 attempts.*ReadTimeout"),
}


@pytest.mark.parametrize("model", REFUSALS)
async def test_a_reply_that_is_no_stream_is_a_typed_error(read: Read, model: str) -> None:
    kind, message = REFUSALS[model]
    with pytest.raises(kind, match=message) as raised:
        await read(model)
    assert type(raised.value) is kind


@pytest.mark.parametrize(("model", "attempts"), [("busy", 3), ("refuses", 1), ("html", 1)])
async def test_only_what_may_pass_is_asked_again_and_no_oftener_than_configured(
    read: Read, server: StreamServer, model: str, attempts: int
) -> None:
    before = server.requests[model]
    with pytest.raises(SamplerError):
        await read(model, attempts=3)
    assert server.requests[model] - before == attempts


async def test_a_wait_that_would_pass_the_deadline_is_not_begun(read: Read, server: StreamServer) -> None:
    before, began = server.requests["later"], time.monotonic()
    with pytest.raises(SamplerError, match="429"):
        await read("later", Request("x", deadline=began + 5))
    assert server.requests["later"] == before + 1
    assert time.monotonic() < began + 5


async def test_an_endpoint_that_is_not_there_is_a_typed_error(server: StreamServer) -> None:
    for url in ("http://127.0.0.1:9/v1", "ftp://here/v1"):
        with OpenAIStream(Endpoint(url, "x", attempts=1)).client as client:
            source = OpenAIStream(Endpoint(url, "x", attempts=1), client=client)
            with pytest.raises(SamplerError, match=r"no answer in 1 attempts|not an address"):
                next(source(ASKED))
        async with AsyncOpenAIStream(Endpoint(url, "x", attempts=1)).client as aclient:
            asource = AsyncOpenAIStream(Endpoint(url, "x", attempts=1), client=aclient)
            with pytest.raises(SamplerError, match=r"no answer in 1 attempts|not an address"):
                await anext(asource(ASKED))


@pytest.mark.parametrize("model", COUNTS)
async def test_a_count_that_cannot_be_believed_is_estimated_and_flagged(read: Read, model: str) -> None:
    (last,) = await read(model)
    assert (last.usage.completion_tokens, last.usage.estimated) == (2, True)


async def test_an_empty_answer_is_an_answer(read: Read) -> None:
    (last,) = await read("empty")
    assert (last.done, last.steps, last.error) == (True, (), None)


@pytest.mark.parametrize(
    ("model", "steps"),
    [
        ("tiny", ["x\n\n"] * 500),
        ("characters", ["a\n\n", "b\n\n", "c"]),
        ("empty steps", ["\n\n\na\n\n\n\n \n\n", "b"]),
    ],
)
async def test_odd_steps_are_the_steps_of_the_whole_text(
    read: Read, model: str, steps: Sequence[str]
) -> None:
    seen = await read(model)
    assert list(seen[-1].steps) == steps
    assert len(seen) == len(steps)


async def test_log_probabilities_count_the_tokens(read: Read) -> None:
    (last,) = await read("logprobs")
    assert (last.logprobs, last.usage.completion_tokens) == ((-0.5, 0.0), 2)


async def test_tool_calls_are_put_together(read: Read) -> None:
    (last,) = await read("calls")
    assert last.tool_calls == (ToolCall("add", {"a": 1}, "call-0"), ToolCall("sub", {}, "call-1"))
    assert last.usage.estimated


async def test_a_tool_call_without_an_object_of_arguments_is_a_typed_error(read: Read) -> None:
    (last,) = await read("bad call")
    assert str(last.error).startswith(
        "MalformedStream: a chunk of the stream is not one (TypeError: arguments of 'add'"
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_do_not_depend_on_where_bytes_are_cut(size: int) -> None:
    written = (
        b'\xef\xbb\xbf: hi\r\ndata: {"a": "\xe2\x82\xac"}\r\n\r\ndata:1\rdata: 2\r\rid: 4\n\ndata:  3\n\n'
    )
    events = Events(64)
    found = [data for i in range(0, len(written), size) for data in events.feed(written[i : i + size])]
    assert [*found, *events.end()] == [json.dumps({"a": "€"}, ensure_ascii=False), "1\n2", " 3"]
