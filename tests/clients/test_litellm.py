"""LiteLLM against the proxy: calls, streams and a tool loop, with only the base URL changed."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.clients.site import ADD, MODEL, QUESTION, SUM, TOLD, Site, Told, add, the_site

__all__ = ["the_site"]

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or its import asks the network
litellm = pytest.importorskip("litellm", reason="litellm is not installed: make test-clients")

USER: list[Any] = [{"role": "user", "content": QUESTION}]


def test_calls_streams_and_a_tool_loop(site: Site) -> None:
    def script(base_url: str) -> Told:
        def asked(messages: list[Any], **fields: Any) -> Any:
            return litellm.completion(
                f"openai/{MODEL}", messages=messages, api_base=base_url, api_key="k", **fields
            )

        plain = asked(USER)
        pieces = [chunk.choices[0].delta.content or "" for chunk in asked(USER, stream=True)]
        first = asked(USER, tools=[ADD])
        (call,) = first.choices[0].message.tool_calls
        result = {
            "role": "tool",
            "tool_call_id": call.id,
            "content": str(add(**json.loads(call.function.arguments))),
        }
        last = asked([*USER, first.choices[0].message.model_dump(exclude_none=True), result], tools=[ADD])
        total = sum(whole.usage.total_tokens for whole in (plain, first, last))
        return Told(
            [plain.choices[0].message.content, "".join(pieces), last.choices[0].message.content], total
        )

    assert site.same(script).answers == [SUM, SUM, TOLD]
