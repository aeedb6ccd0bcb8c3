"""A strategy that answers an answer, over LlamaIndex: chats get the framework's own messages, and prompts grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index.core.llms.mock import MockLLM

from adaptive_middleware import Middleware, Path, Rule
from adaptive_middleware.strategies.repair import repair
from adaptive_middleware.types import Request, Verdict
from llama_index_adaptive import AdaptiveLLM


class Fails:
    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        return [Verdict(passed=False, detail="f(1) is 3")] * len(paths)


class Told(MockLLM):
    """Answers `x = 1`, and keeps what it was told."""

    told: list[Any] = []  # noqa: RUF012 - pydantic copies it

    def chat(self, messages: Sequence[ChatMessage], **_kwargs: Any) -> ChatResponse:
        self.told.append([(message.role.value, message.content) for message in messages])
        return ChatResponse(message=ChatMessage("x = 1", role="assistant"))

    def complete(self, prompt: str, formatted: bool = False, **_kwargs: Any) -> CompletionResponse:
        self.told.append(prompt)
        return CompletionResponse(text="x = 1")


def wrapped(inner: Told) -> AdaptiveLLM:
    strategy = repair(lambda state: int(state.drawn < 2), complaint="No: {output}", score=False)
    return AdaptiveLLM(inner, middleware=Middleware(rules=[Rule("code", strategy)], verifier=Fails()))


def test_a_chat_sees_its_answer_and_what_failed() -> None:
    inner = Told(max_tokens=None)
    assert wrapped(inner).chat([ChatMessage("Hi")]).message.content == "x = 1"
    assert inner.told == [
        [("user", "Hi")],
        [("user", "Hi"), ("assistant", "x = 1"), ("user", "No: f(1) is 3")],
    ]


def test_a_prompt_grows_by_its_answer_and_what_failed() -> None:
    inner = Told(max_tokens=None)
    assert wrapped(inner).complete("Hi").text == "x = 1"
    assert inner.told == ["Hi", "Hi\n\nx = 1\n\nNo: f(1) is 3"]
