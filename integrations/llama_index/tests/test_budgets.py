"""Budgets reach the model through the adapter, also where a call would only pass."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage

from adaptive_middleware import Middleware
from adaptive_middleware.errors import BudgetExhausted
from llama_index_adaptive import AdaptiveLLM

HELLO = [ChatMessage("hello")]


async def test_every_kind_of_call_is_refused_when_nothing_is_left(script: Any) -> None:
    middleware = Middleware.from_config({"version": 1, "budgets": [{"amount": {"tokens": 4000}}]})
    llm = AdaptiveLLM(llm=script(["4"]).model(), middleware=middleware)
    for ask in (lambda: llm.chat(HELLO), lambda: list(llm.stream_chat(HELLO)), lambda: llm.complete("hi")):
        with pytest.raises(BudgetExhausted, match="tokens per day"):
            ask()
    with pytest.raises(BudgetExhausted):
        await llm.achat(HELLO)


def test_a_call_within_its_budget_is_answered(script: Any) -> None:
    middleware = Middleware.from_config({"version": 1, "budgets": [{"amount": {"tokens": 5000}}]})
    assert AdaptiveLLM(llm=script(["4"]).model(), middleware=middleware).chat(HELLO).message.content == "4"
