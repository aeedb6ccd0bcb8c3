"""Which policy a call gets: by header, by the model's name, by `when`; and that each keeps its own verifier."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.config import load
from adaptive_middleware.proxy.body import Body, NotAnObject
from adaptive_middleware.proxy.headers import to_client, to_upstream
from adaptive_middleware.proxy.policies import named, understood
from adaptive_middleware.proxy.requests import question_of
from adaptive_middleware.server.requests import Refused
from adaptive_middleware.testing.fake_sse import StreamServer, answer_script, fake_sse, whole_reply
from adaptive_middleware.transport.wire import CHAT
from adaptive_middleware.types import Path
from tests.proxy.site import THREE, proxied, sdk

USER: list[Any] = [{"role": "user", "content": "Hi"}]
TWO = {"strategy": "best-of-n", "policy": {"kind": "fixed", "n": 2}}
POLICIES = {
    "planner": {**THREE, "when": {"tags": ["plan"], "model": "gpt*"}},
    "site": {**TWO, "when": {"call_site": "nightly.*"}},
    "default": {"strategy": "pass-through"},
}
REPLY = {"choices": [{"message": {"content": "Yes"}, "finish_reason": "stop"}]}
RULES = load({"version": 1, "policies": POLICIES}).build().rules


@pytest.fixture(scope="module")
def upstream() -> Iterator[StreamServer]:
    with fake_sse({name: [whole_reply(REPLY)] for name in ("gpt-x", "a@b", "@cf/x", "")}) as server:
        yield server


@pytest.fixture(scope="module")
def site(upstream: StreamServer) -> Iterator[str]:
    with proxied(upstream.url, POLICIES) as url:
        yield url


@pytest.mark.parametrize(
    ("model", "headers", "sent", "times"),
    [
        ("gpt-x", {}, "gpt-x", 1),
        ("gpt-x@planner", {}, "gpt-x", 3),
        ("gpt-x@site", {}, "gpt-x", 2),
        ("gpt-x", {"x-adaptive-policy": "planner"}, "gpt-x", 3),
        ("a@b", {"x-adaptive-policy": "default"}, "a@b", 1),
        ("@cf/x", {}, "@cf/x", 1),
        ("gpt-x", {"x-adaptive-tags": "plan, other"}, "gpt-x", 3),
        ("gpt-x@default", {"x-adaptive-tags": "plan"}, "gpt-x", 1),
        ("gpt-x", {"x-adaptive-tags": "adaptive-policy=planner"}, "gpt-x", 1),
        ("gpt-x", {"x-adaptive-call-site": "nightly.report"}, "gpt-x", 2),
    ],
)
def test_a_call_gets_the_policy_it_asks_for(
    model: str, headers: dict[str, str], sent: str, times: int
) -> None:
    with fake_sse({sent: [whole_reply(REPLY)]}) as own, proxied(own.url, POLICIES) as url, sdk(url) as client:
        client.chat.completions.create(model=model, messages=USER, extra_headers=headers)
    assert [body["model"] for body in own.asked] == [sent] * times


@pytest.mark.parametrize(
    ("model", "headers"), [("gpt-x@plan", {}), ("gpt-x", {"x-adaptive-policy": ""}), ("a@b@", {})]
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_policy_is_a_400_that_names_those_that_exist(
    site: str, upstream: StreamServer, model: str, headers: dict[str, str], stream: bool
) -> None:
    upstream.asked.clear()
    with sdk(site) as client, pytest.raises(openai.BadRequestError, match="planner, site, default"):
        client.chat.completions.create(model=model, messages=USER, extra_headers=headers, stream=stream)
    assert upstream.asked == []


def test_only_the_models_name_is_changed_in_the_body(site: str, upstream: StreamServer) -> None:
    body = b'{"x":1.0 ,"model" : "gpt-x@default","messages":[{"role":"user","content":"\\u0041"}], "y":{"model":"z@q"}}'
    httpx2.post(f"{site}/v1/chat/completions", content=body)
    assert upstream.written[-1] == body.replace(b"gpt-x@default", b"gpt-x")


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_strategy_sets_is_all_that_changes(stream: bool) -> None:
    rungs = [{"name": "all", "parameters": {"reasoning_effort": "high", "new": [1]}, "model": "big"}]
    prm = {"kind": "python", "target": "tests.config.parts:Scores"}
    whole = [whole_reply(REPLY)] if not stream else answer_script(["Yes"])
    body = b'{"model":"m@default","messages":[],"reasoning_effort": "low", "stream": %s}'
    with (
        fake_sse({"big": whole}) as own,
        proxied(own.url, {"default": {"strategy": "effort", "rungs": rungs}}, prm=prm) as url,
    ):
        reply = httpx2.post(f"{url}/v1/chat/completions", content=body % json.dumps(stream).encode())
    assert reply.status_code == 200
    sent = body.replace(b'"m@default"', b'"big"').replace(b'"low"', b'"high"')
    assert own.written == [(sent % json.dumps(stream).encode())[:-1] + b', "new": [1]}']


def test_every_policy_keeps_its_own_verifier() -> None:
    def verifier(word: str) -> dict[str, Any]:
        return {
            "verifier": {"kind": "python", "target": "tests.config.parts:Contains", "args": {"word": word}}
        }

    policies = {
        "a": {**TWO, **verifier("a"), "when": {"model": "a"}},
        "b": {**TWO, **verifier("b"), "when": {"model": "b"}},
        "default": TWO,
    }
    middleware = named(load({"version": 1, "policies": policies}).build())
    assert middleware.verifier is not None
    for policy, passed in (("a", True), ("b", False), ("default", None)):
        call = understood({"model": "b"}, {"x-adaptive-policy": policy}, middleware.rules)
        assert middleware.rule(call).name == policy
        assert middleware.verifier.verify(call, [Path(("a",))])[0].passed is passed
    assert middleware.rule(understood({"model": "b"}, {}, middleware.rules)).name == "b"


def test_a_policy_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(Refused, match="there is no policy 'x'"):
        understood({"model": "m@x"}, {}, RULES)


CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}],
}


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}], "Hi"),
        (
            [{"role": "user", "content": ["Hi", {"type": "text"}, {"type": "input_audio"}]}],
            "Hi\n[input_audio]",
        ),
        (
            [*USER, CALLED, {"role": "tool", "content": "7"}, {"role": "developer", "content": "x"}],
            "user: Hi\n\nassistant: f({})\n\ntool: 7",
        ),
    ],
)
def test_the_scorer_reads_the_conversation(messages: list[Any], text: str) -> None:
    assert question_of({"messages": messages}, CHAT) == text


@pytest.mark.parametrize(
    "values",
    [
        {"messages": [{"role": "assistant", "tool_calls": [{"custom": 1}, 3]}]},
        {"messages": [None, 3]},
        {"messages": "no"},
        {"messages": USER, "n": 2},
        {},
    ],
)
def test_what_cannot_be_read_or_wants_several_choices_has_no_question(values: dict[str, Any]) -> None:
    assert question_of(values, CHAT) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=4), JSON, max_size=5),
    st.dictionaries(st.text(max_size=4), JSON, max_size=3),
    st.sampled_from([None, 2]),
    st.booleans(),
)
def test_a_changed_body_says_what_was_changed_and_nothing_else(
    values: dict[str, Any], changes: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    written = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        body = Body.read(written)
    except NotAnObject:  # half a character cannot be written as UTF-8
        return
    assert json.loads(body.changed(changes)) == {**values, **changes}
    assert body.changed({}) == written


def test_headers_of_one_connection_stay_on_it() -> None:
    sent = [
        (b"Connection", b"close, X-Hop"),
        (b"X-Hop", b"1"),
        (b"TE", b"a"),
        (b"Host", b"h"),
        (b"Cookie", b"c"),
    ]
    sent += [(b"Authorization", b"Bearer k"), (b"X-Adaptive-Policy", b"p"), (b"Accept-Encoding", b"gzip")]
    kept = to_upstream(sent, key=None, keep_key=True, plain=False)
    assert kept == [(b"Cookie", b"c"), (b"Authorization", b"Bearer k"), (b"Accept-Encoding", b"gzip")]
    kept = to_upstream(sent, key="u", keep_key=True, plain=True)
    assert kept == [(b"Cookie", b"c"), (b"authorization", b"Bearer u"), (b"accept-encoding", b"identity")]
    assert to_upstream(sent, key=None, keep_key=False, plain=True)[0] == (b"Cookie", b"c")
    back = [(b"Date", b"d"), (b"Set-Cookie", b"a"), (b"Set-Cookie", b"b"), (b"Content-Length", b"3")]
    assert to_client(back) == back[1:]
    assert to_client(back, rewritten=True) == back[1:3]
