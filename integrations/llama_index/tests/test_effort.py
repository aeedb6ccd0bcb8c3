"""What a rung of effort sets arrives at the provider, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import openai
import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.mock import MockFunctionCallingLLM

from adaptive_middleware import Middleware
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.testing.fake_openai import Server, fake_openai
from llama_index_adaptive import AdaptiveLLM

CONFIG: dict[str, Any] = {
    "version": 1,
    "prm": {"kind": "lab"},
    "policies": {
        "default": {
            "strategy": "effort",
            "rungs": [
                {
                    "name": "quick",
                    "at_least": 0.5,
                    "parameters": {"reasoning_effort": "low", "max_tokens": 7},
                },
                {
                    "name": "strong",
                    "model": "fake+constant+strong",
                    "parameters": {"reasoning_effort": "high"},
                },
            ],
        }
    },
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with fake_openai() as running:
        yield running


def asking(server: Server) -> MockFunctionCallingLLM:
    """A LlamaIndex model that asks the server, with the arguments of the call in the request's body."""

    def ask(messages: Sequence[ChatMessage], **arguments: Any) -> ChatMessage:
        body = {"model": "fake+constant", **arguments}
        said = [{"role": one.role.value, "content": one.content or ""} for one in messages]
        with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
            answer = client.post("/chat/completions", body={**body, "messages": said}, cast_to=dict[str, Any])
        return ChatMessage(answer["choices"][0]["message"]["content"], role="assistant")

    return MockFunctionCallingLLM(response_generator=ask, is_chat_model=True)


@pytest.mark.parametrize(
    ("p", "rung", "sent"),
    [
        (0.9, "quick", {"reasoning_effort": "low", "max_tokens": 7, "model": "fake+constant", "top_p": 0.5}),
        (0.1, "strong", {"reasoning_effort": "high", "model": "fake+constant+strong", "top_p": 0.5}),
    ],
)
async def test_the_parameters_and_the_model_of_a_rung_reach_the_provider(
    server: Server, p: float, rung: str, sent: dict[str, object]
) -> None:
    server.reset()
    rules = Middleware.from_config(CONFIG).rules
    llm = AdaptiveLLM(llm=asking(server), middleware=Middleware(rules=rules, scorer=TableScorer(p)))
    question = [ChatMessage("Hi")]
    arguments = {"top_p": 0.5, "reasoning_effort": "medium"}
    answers = [llm.chat(question, **arguments), await llm.achat(question, **arguments)]
    assert [answer.additional_kwargs["adaptive"]["rung"] for answer in answers] == [rung, rung]
    assert [{name: value for name, value in body.items() if name != "messages"} for body in server.calls] == [
        sent,
        sent,
    ]
