"""Repair behind the proxy: the upstream sees the failed answer and what failed, the client only the outcome."""

from __future__ import annotations

from typing import Any

from adaptive_middleware.testing.fake_sse import fake_sse, whole_reply
from tests.proxy.site import proxied, sdk

USER: list[Any] = [{"role": "user", "content": "Hi"}]
REPLY = {"choices": [{"message": {"content": "x = 1"}, "finish_reason": "stop"}]}
REPAIR = {
    "strategy": "repair",
    "policy": {"kind": "python", "target": "tests.config.parts:until", "args": {"n": 1}},
    "verifier": {"kind": "python", "target": "tests.config.parts:Contains", "args": {"word": "y"}},
    "complaint": "Without {output}",
    "escalate": {"name": "strong", "model": "strong"},
}


def test_the_stronger_model_is_shown_what_failed() -> None:
    script = {name: [whole_reply(REPLY)] for name in ("weak", "strong")}
    with (
        fake_sse(script) as upstream,
        proxied(upstream.url, {"default": REPAIR}) as site,
        sdk(site) as client,
    ):
        answer = client.chat.completions.create(model="weak", messages=USER)
        first, second = upstream.asked
    assert answer.choices[0].message.content == "x = 1"
    assert first == {"model": "weak", "messages": USER}
    said = [{"role": "assistant", "content": "x = 1"}, {"role": "user", "content": "Without y"}]
    assert second == {"model": "strong", "messages": [*USER, *said]}
