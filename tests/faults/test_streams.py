"""F10 to F13: a streamed answer stalls, ends early, is reset, or is garbled."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import pytest

from adaptive_middleware import Middleware, Request, best_of_n, fixed
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.sampling.astreams import AsyncStepStreamer
from adaptive_middleware.sampling.endpoint import Endpoint
from adaptive_middleware.sampling.openai_http import OpenAISampler
from adaptive_middleware.sampling.openai_stream import AsyncOpenAIStream, OpenAIStream, Patience
from adaptive_middleware.sampling.reading import TRUNCATED
from adaptive_middleware.sampling.streams import StepStreamer
from adaptive_middleware.strategies.first_good import first_good
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.testing import ScriptedSampler, TableScorer
from adaptive_middleware.testing.fake_sse import (
    CUT,
    RESET,
    Item,
    Script,
    answer_script,
    chunk,
    event,
    fake_sse,
)
from adaptive_middleware.types import Outcome, Path
from tests.faults.world import Told, alone, within
from tests.proxy.site import proxied
from tests.server.threaded import eventually

pytestmark = pytest.mark.fault

QUICK = Patience(connect=2.0, first=5.0, idle=0.4)
FIRST = [chunk("One\n\n"), chunk("and")]
USER: list[Any] = [{"role": "user", "content": "q"}]


def read(url: str) -> Path:
    """One streamed answer to its end, by a thread."""
    with (source := OpenAIStream(Endpoint(url, "m"), QUICK)).client:
        streamer = StepStreamer(source)
        path = streamer.begin(Request("q"), 1)[0]
        while not path.ended:
            path = streamer.advance(Request("q"), [path])[0]
        return path


def aread(url: str) -> Path:
    """The same, by an event loop."""

    async def work() -> Path:
        async with (source := AsyncOpenAIStream(Endpoint(url, "m"), QUICK)).client:
            streamer = AsyncStepStreamer(source)
            path = (await streamer.abegin(Request("q"), 1))[0]
            while not path.ended:
                path = (await streamer.aadvance(Request("q"), [path]))[0]
            return path

    return asyncio.run(alone(work))


both = pytest.mark.parametrize("take", [read, aread])
Take = Callable[[str], Path]


def shown(url: str) -> tuple[list[str], Outcome]:
    """What a caller who watches sees of an answer that is shown from its first step, and the outcome."""
    told = Told()
    middleware = Middleware(
        first_good(best_of_n(fixed(2)), good=0.1), scorer=TableScorer(0.9), observers=[told]
    )
    with (source := OpenAIStream(Endpoint(url, "m"), QUICK)).client:
        *pieces, outcome = middleware.stream(
            Request("q"), ScriptedSampler(["no"]), streamer=StepStreamer(source)
        )
    assert isinstance(outcome, Outcome)
    assert told.causes == outcome.degraded
    return [one.text for one in pieces if isinstance(one, Path)], outcome


@both
def test_f10_a_stream_that_stalls_is_given_up_with_what_it_has_cost(take: Take) -> None:
    with fake_sse({"m": [*FIRST, 30.0]}) as upstream:
        began = time.monotonic()
        path = take(upstream.url)
        assert time.monotonic() - began < 5
        assert (path.text, path.done, len(upstream.asked)) == ("One\n\nand", False, 1)
        assert (path.error or "").startswith("StreamStalled: ")
        assert path.usage.completion_tokens > 0
        eventually(lambda: upstream.open == 0)


def test_f10_what_was_shown_is_kept_and_never_asked_for_again() -> None:
    with fake_sse({"m": [*FIRST, 30.0]}) as upstream:
        seen, outcome = shown(upstream.url)
        assert len(upstream.asked) == 1
    assert seen[-1] == outcome.chosen.text == "One\n\nand"
    assert any("StreamStalled" in cause for cause in outcome.degraded)


def test_f10_the_proxy_ends_a_stalled_stream_with_an_error_event_and_done() -> None:
    body = {"model": "m", "messages": USER, "stream": True}
    with fake_sse({"m": [*FIRST, 30.0]}) as upstream, proxied(upstream.url, timeout=0.5) as url:
        reply = httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=30)
        *_, error, done, rest = reply.text.split("\n\n")
        assert (done, rest) == ("data: [DONE]", "")
        assert json.loads(error.removeprefix("data: "))["error"]["code"] in {502, 504}
        assert (reply.status_code, len(upstream.asked)) == (200, 1)


@both
@pytest.mark.parametrize("script", [[*FIRST], [*FIRST, b"data: [DONE]\n\n"], [*FIRST, CUT]])
def test_f11_an_early_end_is_truncated_or_an_error_and_never_complete(take: Take, script: Script) -> None:
    with fake_sse({"m": script}) as upstream:
        path = take(upstream.url)
        assert (path.text, path.done, len(upstream.asked)) == ("One\n\nand", False, 1)
    if script[-1] == CUT:
        assert (path.error or "").startswith("BrokenStream: ")
    else:
        assert path.finish_reason == TRUNCATED


def test_f11_a_truncated_answer_is_never_scored_as_complete() -> None:
    scorer = TableScorer(0.9)
    middleware = Middleware(prune(fixed(2)), scorer=scorer)
    with fake_sse({"m": FIRST}) as upstream, (source := OpenAIStream(Endpoint(upstream.url, "m"))).client:
        outcome = middleware.run(Request("q"), ScriptedSampler(["no"]), streamer=StepStreamer(source))
    assert all(not path.done for paths in scorer.seen for path in paths if path.text)
    assert (outcome.chosen.done, outcome.chosen.finish_reason) == (False, TRUNCATED)


@both
def test_f12_a_reset_is_a_typed_error_and_the_next_answer_has_a_connection_of_its_own(take: Take) -> None:
    scripts: list[Script] = [[*FIRST, 0.05, RESET], answer_script(["7"])]
    with fake_sse({"m": lambda _: scripts[min(len(upstream.asked), 2) - 1]}) as upstream:
        path = take(upstream.url)
        assert (path.error or "").startswith("BrokenStream: ")
        assert (path.done, path.usage.requests) == (False, 1)
        assert take(upstream.url).text == "7"
        assert len(upstream.asked) == 2


def test_f12_the_same_connections_serve_on_after_a_reset() -> None:
    scripts: list[Script] = [[*FIRST, 0.05, RESET], answer_script(["7"])]
    with (
        fake_sse({"m": lambda _: scripts[min(len(upstream.asked), 2) - 1]}) as upstream,
        (source := OpenAIStream(Endpoint(upstream.url, "m"))).client,
    ):
        with pytest.raises(SamplerError, match="broke off"):
            list(source(Request("q")))
        assert "".join(piece.text for piece in source(Request("q"))) == "7"


GARBLED: dict[str, Sequence[Item]] = {
    "no JSON": [b"data: {no\n\n"],
    "no object": [b"data: [1]\n\n"],
    "not UTF-8": [b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n'],
    "half a character": [b"data: \xe2\x82"],
    "ten megabytes in a line": [b'data: {"choices": [{"delta": {"content": "', *[b"x" * 1_000_000] * 10],
    "an error inside": [event({"error": {"message": "out of credit"}})],
    "deep": [b"data: " + b"[" * 200_000 + b"\n\n"],
    "a foreign shape": [event({"choices": 7})],
}


@both
@pytest.mark.parametrize("how", GARBLED)
def test_f13_a_garbled_stream_is_a_typed_error(take: Take, how: str) -> None:
    with fake_sse({"m": [*FIRST, *GARBLED[how]]}) as upstream:
        path = take(upstream.url)
        assert (path.done, len(upstream.asked)) == (False, 1)
        assert (path.error or "").split(":")[0] in {"MalformedStream", "ProviderError"}


FINE: dict[str, Sequence[bytes]] = {
    "a byte-order mark": [b"\xef\xbb\xbf", chunk("7"), chunk("", "stop")],
    "CRLF": [chunk("7").replace(b"\n", b"\r\n"), chunk("", "stop").replace(b"\n", b"\r\n")],
    "CR": [chunk("7").replace(b"\n", b"\r"), chunk("", "stop").replace(b"\n", b"\r")],
    "comments": [b": ping\n\n", chunk("7"), b": ping\n", chunk("", "stop")],
    "other fields": [b"id: 1\nevent: x\nretry: 9\n", chunk("7"), chunk("", "stop")],
    "byte by byte": [bytes([one]) for one in chunk("7") + chunk("", "stop")],
}


@both
@pytest.mark.parametrize("how", FINE)
def test_f13_what_the_protocol_allows_is_read(take: Take, how: str) -> None:
    with fake_sse({"m": [*FINE[how], b"data: [DONE]\n\n"]}) as upstream:
        path = take(upstream.url)
    assert (path.text, path.done, path.finish_reason) == ("7", True, "stop")


def test_f10_a_whole_answer_that_stalls_is_given_up_as_often_as_configured() -> None:
    with fake_sse({"m": [b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", 30.0]}) as upstream:
        place = Endpoint(upstream.url, "m", timeout=0.3, attempts=2)
        with (
            (sampler := OpenAISampler(place)).client,
            pytest.raises(SamplerError, match="no answer in 2 attempts"),
        ):
            sampler.sample(Request("q"), 1)
        assert len(upstream.asked) == 2


def test_f10_at_the_deadline_the_best_unfinished_answer_is_returned_as_cut_off() -> None:
    told = Told()
    middleware = Middleware(prune(fixed(2)), scorer=TableScorer(0.9), observers=[told])
    with (
        fake_sse({"m": [*FIRST, 3.0]}) as upstream,
        (source := OpenAIStream(Endpoint(upstream.url, "m"))).client,
        within(0.6) as ends,
    ):
        request = Request("q", deadline=ends)
        outcome = middleware.run(request, ScriptedSampler(["no"]), streamer=StepStreamer(source))
        assert len(upstream.asked) == 2
    assert (outcome.chosen.text, outcome.chosen.done, outcome.chosen.finish_reason) == (
        "One\n\nand",
        False,
        "length",
    )
    assert any("DeadlineExceeded" in cause for cause in told.causes)
    assert (outcome.usage.requests, outcome.failed, len(outcome.dropped)) == (2, (), 1)
