"""Budgets reach the model through the adapter: counted, shrunk and refused."""

from __future__ import annotations

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel

from adaptive_middleware import Middleware
from adaptive_middleware.errors import BudgetExhausted
from langchain_adaptive import AdaptiveChatModel

POLICIES = {"default": {"strategy": "best-of-n", "policy": {"kind": "fixed", "n": 3}}}


async def test_calls_draw_within_their_budget_and_are_refused_without_one() -> None:
    config = {"version": 1, "policies": POLICIES, "budgets": [{"amount": {"tokens": 10_000}}]}
    middleware = Middleware.from_config(config)
    model = AdaptiveChatModel(inner=FakeListChatModel(responses=["4"]), middleware=middleware)
    told = model.invoke("2 + 2?").response_metadata["adaptive"]
    assert told["samples"] == 3, "two at first, and when these were settled there was room for the third"
    assert any("has room for 2 of 3" in cause for cause in told["degraded"])
    assert told["budget"][0]["reserved"] > 3 * 4096
    assert 0 < told["budget"][0]["settled"] < 100, "what nobody counted is estimated, never nothing"
    again = (await model.ainvoke("2 + 2?")).response_metadata["adaptive"]
    assert again["budget"][0]["left"] == 10_000 - told["budget"][0]["settled"] - again["budget"][0]["settled"]


def test_a_call_that_would_pass_is_refused_when_nothing_is_left() -> None:
    middleware = Middleware.from_config({"version": 1, "budgets": [{"amount": {"tokens": 4000}}]})
    model = AdaptiveChatModel(inner=FakeListChatModel(responses=["4"]), middleware=middleware)
    for ask in (lambda: model.invoke("?"), lambda: list(model.stream("?"))):
        with pytest.raises(BudgetExhausted, match="tokens per day"):
            ask()
