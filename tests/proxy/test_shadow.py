"""A policy in shadow behind the proxy: the same bytes up and down as where calls pass through, and the decision is counted."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from adaptive_middleware.testing.fake_sse import event, fake_sse, whole_reply
from tests.config.parts import Observations
from tests.proxy.site import THREE, proxied
from tests.server.threaded import eventually

BODY = b'{"model":  "m", "messages":[{"role":"user","content":"Hi"}], "temperature":0.50 }'
ANSWER = {
    "id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "odd": 1.50},
}  # fmt: skip


def events(*deltas: str) -> list[bytes]:
    made: list[dict[str, Any]] = [
        {"id": "x", "choices": [{"index": 0, "delta": {"content": delta}, "finish_reason": None}]}
        for delta in deltas
    ]
    made.append({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return [b"data: " + json.dumps(each).encode() + b"\n\n" for each in made] + [b"data: [DONE]\n\n"]


def exchanged(mode: str | None, reply: list[Any], body: bytes) -> tuple[httpx2.Response, str, bytes]:
    """The client's reply, and the head and body that the upstream saw."""
    policy = {"strategy": "pass-through"} if mode is None else {**THREE, "mode": mode}
    observers = [{"target": "tests.config.parts:Observations", "args": {"label": "x"}}]
    scores = {"kind": "python", "target": "tests.config.parts:Scores"}
    with (
        fake_sse({"m": reply}) as server,
        proxied(server.url, {"default": policy}, prm=scores, observers=observers) as url,
    ):
        answer = httpx2.post(
            f"{url}/v1/chat/completions", content=body, headers={"authorization": "Bearer k"}
        )
        assert len(server.asked) == 1
        head = "\n".join(
            line for line in server.heads[0].split("\r\n") if not line.lower().startswith("host:")
        )
        return answer, head, server.written[0]


FRAMING = "date", "content-length", "transfer-encoding"


def said(response: httpx2.Response) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in response.headers.multi_items() if name not in FRAMING)


@pytest.mark.parametrize(
    ("reply", "more"),
    [
        ([whole_reply(ANSWER, x_request_id="r1")], b""),
        (events("Ye", "s."), b', "stream": true'),
        (
            [*events("Ye", "s.")[:3], event({**ANSWER, "choices": []}), b"data: [DONE]\n\n"],
            b', "stream": true',
        ),
        ([whole_reply({"error": {"message": "busy"}}, status=429, retry_after="3")], b""),
    ],
    ids=["whole", "stream", "stream with usage", "refusal"],
)
def test_a_call_in_shadow_is_the_call_that_passes_through_byte_for_byte(
    reply: list[Any], more: bytes
) -> None:
    body = BODY.replace(b" }", more + b"}")
    plain, plain_head, plain_sent = exchanged(None, reply, body)
    shadow, head, sent = exchanged("shadow", reply, body)
    assert (shadow.status_code, shadow.content) == (plain.status_code, plain.content)
    assert said(shadow) == said(plain)
    assert (head, sent) == (plain_head, plain_sent)


def test_the_decision_is_told_once() -> None:
    Observations.told.clear()
    exchanged("shadow", [whole_reply(ANSWER)], BODY)
    eventually(lambda: len(Observations.told) == 1)


def test_prometheus_has_the_decisions_and_the_chance_of_answers_in_force() -> None:
    scores = {"kind": "python", "target": "tests.config.parts:Scores", "args": {"value": 0.95}}
    body = json.loads(BODY)
    policies = {"dark": {**THREE, "mode": "shadow", "when": {"model": "m"}}, "default": THREE}
    with (
        fake_sse({"m": [whole_reply(ANSWER)], "n": [whole_reply(ANSWER)]}) as server,
        proxied(server.url, policies, prm=scores) as url,
    ):
        for model in ("m", "n"):
            httpx2.post(f"{url}/v1/chat/completions", json={**body, "model": model}).raise_for_status()
        said = 'adaptive_proxy_shadow_samples_total{policy="dark"} 3.0'
        eventually(lambda: said in httpx2.get(f"{url}/metrics").text)
        text = httpx2.get(f"{url}/metrics").text
    assert 'adaptive_proxy_shadow_calls_total{policy="dark"} 1.0' in text
    assert 'adaptive_proxy_samples_total{policy="dark"} 1.0' in text
    assert 'adaptive_proxy_samples_total{policy="default"} 3.0' in text
    assert 'adaptive_proxy_probability_bucket{le="0.95",policy="default"} 1.0' in text
    assert 'adaptive_proxy_probability_bucket{le="0.9",policy="default"} 0.0' in text
    assert 'adaptive_proxy_fixed_n_tokens_total{policy="default"} 6.0' in text
    assert 'adaptive_proxy_shadow_calls_total{policy="default"' not in text
