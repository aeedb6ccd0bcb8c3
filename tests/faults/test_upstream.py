"""F7 to F9, F14 to F16: the endpoint is busy, broken, slow, answers with nonsense, with nothing, or cannot count."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx2
import pytest

from adaptive_middleware import Middleware, Request, best_of_n, fixed
from adaptive_middleware.errors import DeadlineExceeded, SamplerError
from adaptive_middleware.sampling import whole
from adaptive_middleware.sampling.astreams import AsyncStepStreamer
from adaptive_middleware.sampling.endpoint import Endpoint
from adaptive_middleware.sampling.openai_http import OpenAISampler
from adaptive_middleware.sampling.openai_stream import AsyncOpenAIStream, OpenAIStream, Patience
from adaptive_middleware.sampling.streams import StepStreamer
from adaptive_middleware.testing.fake_sse import Script, answer_script, fake_sse, whole_reply
from adaptive_middleware.types import Path
from tests.faults.world import alone, within
from tests.proxy.site import proxied

pytestmark = pytest.mark.fault

BUSY = [whole_reply({"error": "busy"}, status=429, retry_after="60")]
BROKEN = [whole_reply({"error": "broken"}, status=500, retry_after="0")]
SLOW: Script = [b"HTTP/1.1 200 OK\r\n", 30.0]
QUICK = Patience(connect=2.0, first=0.4, idle=0.4)


def in_one(place: Endpoint, request: Request) -> Path:
    """A whole answer."""
    with (sampler := OpenAISampler(place)).client:
        return sampler.sample(request, 1)[0]


def streamed(place: Endpoint, request: Request) -> Path:
    """A streamed answer, read by a thread."""
    with (source := OpenAIStream(place, QUICK)).client:
        streamer = StepStreamer(source)
        path = streamer.begin(request, 1)[0]
        while not path.ended:
            path = streamer.advance(request, [path])[0]
        return path


def awaited(place: Endpoint, request: Request) -> Path:
    """A streamed answer, read by an event loop."""

    async def read() -> Path:
        async with (source := AsyncOpenAIStream(place, QUICK)).client:
            streamer = AsyncStepStreamer(source)
            path = (await streamer.abegin(request, 1))[0]
            while not path.ended:
                path = (await streamer.aadvance(request, [path]))[0]
            return path

    return asyncio.run(alone(read))


Ask = Callable[[Endpoint, Request], Path]
WAYS = {"whole": in_one, "stream": streamed, "astream": awaited}
ways = pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS)


def in_turn(*scripts: Script) -> Callable[[Mapping[str, Any]], Script]:
    turn = count()
    return lambda _: scripts[min(next(turn), len(scripts) - 1)]


def good(text: str = "7", **more: Any) -> Callable[[Mapping[str, Any]], Script]:
    """A good answer, streamed where that is asked."""
    said = {"usage": {"prompt_tokens": 5, "completion_tokens": 1}} | more
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return lambda body: (
        answer_script([text]) if body.get("stream") else [whole_reply({"choices": [choice], **said})]
    )


@ways
def test_f07_no_wait_for_an_endpoint_that_asks_for_more_time_than_there_is(ask: Ask) -> None:
    with fake_sse({"m": BUSY}) as upstream:
        began = time.monotonic()
        with (
            within(5.0) as ends,
            pytest.raises(SamplerError, match=r"no answer in 1 attempts: HTTP 429.*no time"),
        ):
            ask(Endpoint(upstream.url, "m", attempts=4), Request("q", deadline=ends))
        assert time.monotonic() - began < 3.0
        assert len(upstream.asked) == 1


def test_f07_with_an_answer_in_hand_the_call_ends_with_it() -> None:
    middleware = Middleware(best_of_n(lambda state: 3 - state.drawn, score=False, max_samples=2))
    with (
        fake_sse({"m": in_turn(good()({}), BUSY)}) as upstream,
        within(5.0) as ends,
        (sampler := OpenAISampler(Endpoint(upstream.url, "m", attempts=4))).client,
    ):
        outcome = middleware.run(Request("q", deadline=ends), One(sampler))
    assert (outcome.chosen.text, len(upstream.asked)) == ("7", 2)
    assert "HTTP 429" in outcome.degraded[0]
    assert (outcome.usage.prompt_tokens, outcome.usage.completion_tokens) == (5, 1)


class One:
    """Draws one answer at a time, whatever is asked for."""

    def __init__(self, sampler: OpenAISampler) -> None:
        self.sampler = sampler

    def sample(self, request: Request, n: int) -> list[Path]:
        return self.sampler.sample(request, 1)


@ways
def test_f08_an_endpoint_that_always_fails_is_asked_exactly_as_often_as_configured(ask: Ask) -> None:
    with fake_sse({"m": BROKEN}) as upstream:
        with pytest.raises(SamplerError, match="no answer in 4 attempts: HTTP 500"):
            ask(Endpoint(upstream.url, "m", attempts=4), Request("q"))
        assert len(upstream.asked) == 4


def test_f08_best_of_three_does_not_multiply_attempts() -> None:
    with (
        fake_sse({"m": BROKEN}) as upstream,
        (sampler := OpenAISampler(Endpoint(upstream.url, "m", attempts=4))).client,
    ):
        with pytest.raises(SamplerError, match="no answer in 4 attempts"):
            Middleware(best_of_n(fixed(3), score=False)).run(Request("q"), sampler)
        assert len(upstream.asked) == 4


def test_f08_a_fleet_of_a_hundred_calls_asks_at_most_a_hundred_and_ten_times() -> None:
    with fake_sse({"m": BROKEN}) as upstream:
        place = Endpoint(upstream.url, "m", attempts=6)

        def call(_: int) -> None:
            with pytest.raises(SamplerError, match="HTTP 500"):
                in_one(place, Request("q"))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(call, range(100)))
        assert 100 <= len(upstream.asked) <= 110


def test_f08_the_proxy_repeats_nothing() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "q"}]}
    with fake_sse({"m": BROKEN}) as upstream, proxied(upstream.url) as url:
        assert httpx2.post(f"{url}/v1/chat/completions", json=body).status_code == 500
        assert len(upstream.asked) == 1


@ways
def test_f09_a_slow_first_byte_is_given_up_and_asked_for_again(ask: Ask) -> None:
    turns = iter([lambda _: SLOW, good()])

    def script(body: Mapping[str, Any]) -> Script:
        return next(turns)(body)

    with fake_sse({"m": script}) as upstream:
        path = ask(Endpoint(upstream.url, "m", attempts=2, timeout=0.4), Request("q"))
        assert (path.text, path.usage.requests, len(upstream.asked)) == ("7", 1, 2)


@ways
def test_f09_the_deadline_ends_the_wait_for_a_first_byte(ask: Ask) -> None:
    with fake_sse({"m": SLOW}) as upstream, within(0.3) as ends:
        try:
            said = ask(Endpoint(upstream.url, "m", timeout=20.0), Request("q", deadline=ends)).error
        except DeadlineExceeded:  # one answer in one piece; a stream says it in the path
            said = "DeadlineExceeded: raised"
        assert (said or "").startswith("DeadlineExceeded: ")
        assert len(upstream.asked) == 1


CRUMBS: list[bytes | float] = [0.05, b" "] * 200


def test_f09_a_reply_that_trickles_ends_at_the_deadline() -> None:
    trickle: Script = [b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", *CRUMBS]
    with fake_sse({"m": trickle}) as upstream, within(0.5) as ends:
        with pytest.raises(DeadlineExceeded):
            in_one(Endpoint(upstream.url, "m"), Request("q", deadline=ends))
        assert len(upstream.asked) == 1


NONSENSE = {
    "an error with status 200": whole_reply({"error": {"message": "out of credit"}}),
    "a captive portal": whole_reply(b"<html>Sign in</html>", kind="text/html"),
    "a gzip bomb": whole_reply(gzip.compress(b"0" * 50_000_000), content_encoding="gzip"),
    "nothing": whole_reply(b""),
    "a number": whole_reply(7),
}


@ways
@pytest.mark.parametrize("what", NONSENSE)
def test_f14_what_is_no_answer_is_a_typed_error_and_not_repeated(ask: Ask, what: str) -> None:
    with fake_sse({"m": [NONSENSE[what]]}) as upstream:
        with pytest.raises(SamplerError, match=upstream.url.removesuffix("/v1") + r"|out of credit"):
            ask(Endpoint(upstream.url, "m", attempts=4), Request("q"))
        assert len(upstream.asked) == 1


def test_f14_a_reply_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "_LARGEST", 1_000_000)
    with fake_sse({"m": [whole_reply(b" " * 3_000_000)]}) as upstream:
        with pytest.raises(SamplerError, match="more than 1000000 bytes"):
            in_one(Endpoint(upstream.url, "m"), Request("q"))
        assert len(upstream.asked) == 1


@ways
def test_f15_an_empty_answer_is_an_answer(ask: Ask) -> None:
    with fake_sse({"m": good("")}) as upstream:
        path = ask(Endpoint(upstream.url, "m"), Request("q"))
        assert (path.text, path.done, path.error, len(upstream.asked)) == ("", True, None, 1)


def test_f15_a_call_with_only_empty_answers_succeeds_and_says_so() -> None:
    with (
        fake_sse({"m": good("")}) as upstream,
        (sampler := OpenAISampler(Endpoint(upstream.url, "m"))).client,
    ):
        outcome = Middleware(best_of_n(fixed(1), score=False)).run(Request("q"), sampler)
    assert (outcome.chosen.text, outcome.degraded, outcome.usage.requests) == ("", ("empty answer",), 1)


COUNTS = [
    None,
    {},
    {"prompt_tokens": None, "completion_tokens": None},
    {"prompt_tokens": -5, "completion_tokens": -1},
    {"prompt_tokens": 10**15, "completion_tokens": 10**15},
    {"prompt_tokens": "many", "completion_tokens": [1]},
]


@ways
@pytest.mark.parametrize("counts", COUNTS, ids=json.dumps)
def test_f16_usage_that_cannot_be_is_reckoned_and_marked(ask: Ask, counts: Any) -> None:
    def script(body: Mapping[str, Any]) -> Script:
        if not body.get("stream"):
            return good("one two three four", usage=counts)(body)
        last = b"data: " + json.dumps({"choices": [], "usage": counts}).encode() + b"\n\n"
        return [*answer_script(["one two three four"], counted=False)[:-1], last, b"data: [DONE]\n\n"]

    with fake_sse({"m": script}) as upstream:
        usage = ask(Endpoint(upstream.url, "m"), Request("what comes next")).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.requests) == (4, 5, 1)
    assert usage.estimated
