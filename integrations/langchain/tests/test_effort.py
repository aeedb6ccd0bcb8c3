"""What a rung of effort sets arrives at the provider, over real HTTP."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain_openai import ChatOpenAI

from adaptive_middleware import Middleware
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_openai import Server
from langchain_adaptive import AdaptiveChatModel

RUNGS: list[dict[str, Any]] = [
    {"name": "quick", "at_least": 0.5, "parameters": {"reasoning_effort": "low", "max_tokens": 7}},
    {"name": "strong", "model": "fake+constant+strong", "parameters": {"reasoning_effort": "high"}},
]
CONFIG: dict[str, Any] = {
    "version": 1,
    "prm": {"kind": "lab"},
    "policies": {"default": {"strategy": "effort", "rungs": RUNGS}},
}


def middleware(p: float) -> Middleware:
    pytest.importorskip("torch", reason="the scorer that the configuration names needs torch")
    made = Middleware.from_config(CONFIG)
    return Middleware(rules=made.rules, scorer=TableScorer(p))


@pytest.mark.parametrize(
    ("p", "rung", "sent"),
    [
        (0.9, "quick", {"reasoning_effort": "low", "max_completion_tokens": 7, "model": "fake+constant"}),
        (0.1, "strong", {"reasoning_effort": "high", "model": "fake+constant+strong"}),
    ],
)
async def test_the_parameters_and_the_model_of_a_rung_reach_the_provider(
    server: Server, chat: Callable[..., ChatOpenAI], p: float, rung: str, sent: dict[str, object]
) -> None:
    model = AdaptiveChatModel(inner=chat(), middleware=middleware(p))
    answers = [model.invoke("Hi"), await model.ainvoke("Hi")]
    assert [message.response_metadata["adaptive"]["rung"] for message in answers] == [rung, rung]
    assert len(server.calls) == 2
    for body in server.calls:
        assert {name: body.get(name) for name in sent} == sent
        assert "max_completion_tokens" in sent or "max_completion_tokens" not in body


def test_parameters_of_the_call_that_the_rung_does_not_name_are_left_alone(
    server: Server, chat: Callable[..., ChatOpenAI]
) -> None:
    model = AdaptiveChatModel(inner=chat(), middleware=middleware(0.9))
    model.bind(temperature=0.25, reasoning_effort="medium").invoke("Hi")
    (body,) = server.calls
    assert (body["temperature"], body["reasoning_effort"]) == (0.25, "low")
