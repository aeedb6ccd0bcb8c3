"""A model wrapped in three ways, and scripted answers; every contract test runs on all three."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest
from llama_index.core import Settings
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
    ToolCallBlock,
)
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.llms.llm import LLM
from llama_index.core.llms.mock import MockFunctionCallingLLM

from adaptive_middleware import Middleware, best_of_n, fixed
from adaptive_middleware.testing import TableScorer
from adaptive_middleware.types import Path
from llama_index_adaptive import AdaptiveLLM

Answer: TypeAlias = "str | ChatMessage | Exception"


@dataclass
class Script:
    """A model's answers, one per call, and the last one again and again; keeps what it was called with."""

    answers: Sequence[Answer]
    calls: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatMessage:
        with self.lock:
            given = self.answers[min(len(self.calls), len(self.answers) - 1)]
            self.calls.append({"messages": list(messages), **kwargs})
        if isinstance(given, Exception):
            raise given
        return given if isinstance(given, ChatMessage) else ChatMessage(given, role="assistant")

    def model(self, **settings: Any) -> MockFunctionCallingLLM:
        return MockFunctionCallingLLM(response_generator=self, is_chat_model=True, **settings)

    def provider(self, **settings: Any) -> Provider:
        return Provider(response_generator=self, is_chat_model=True, **settings)


class Provider(MockFunctionCallingLLM):
    """A chat model as providers' are: every answer costs 8 + 3 tokens, and `raw` says so."""

    def answered(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        message = self.response_generator(messages, **kwargs)
        assert isinstance(message, ChatMessage)
        usage = {"prompt_tokens": 8, "completion_tokens": 3}
        return ChatResponse(message=message, raw={"usage": usage, "choices": [{"finish_reason": "stop"}]})

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self.answered(messages, **kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        await asyncio.sleep(0)
        return self.answered(messages, **kwargs)


class TextModel(CustomLLM):
    """A completion model without function calling, with the answers of a script."""

    _script: Script = PrivateAttr()

    def __init__(self, answers: Sequence[Answer], **settings: Any) -> None:
        super().__init__(**settings)
        self._script = Script(answers)

    @property
    def script(self) -> Script:
        return self._script

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="text-model")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        message = self._script([ChatMessage(prompt)], formatted=formatted, **kwargs)
        return CompletionResponse(text=message.content or "")

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        text = self.complete(prompt, formatted, **kwargs).text
        middle = len(text) // 2
        yield CompletionResponse(text=text[:middle], delta=text[:middle])
        yield CompletionResponse(text=text, delta=text[middle:])


def tool_call(tool: str, text: str = "", /, **arguments: Any) -> ChatMessage:
    message = ChatMessage(text or None, role="assistant")
    message.blocks.append(
        ToolCallBlock(tool_call_id=f"id-{arguments}", tool_name=tool, tool_kwargs=arguments)
    )
    return message


def good(path: Path) -> list[float]:
    """Full marks for every step of an answer that says it is good, none for any other."""
    return [0.9 if "good" in path.text else 0.1] * max(len(path.steps), 1)


def best_of(n: int) -> Middleware:
    return Middleware(best_of_n(fixed(n), max_samples=n), scorer=TableScorer(good))


@dataclass(frozen=True)
class Wrap:
    """How the model under test is wrapped; `n` is how many model calls one call then costs."""

    n: int
    around: Callable[[LLM], LLM]

    def __call__(self, llm: LLM) -> LLM:
        return self.around(llm)


WRAPS = {
    "bare": Wrap(1, lambda llm: llm),
    "wrapped": Wrap(1, lambda llm: AdaptiveLLM(llm=llm)),
    "best-of-3": Wrap(3, lambda llm: AdaptiveLLM(llm=llm, middleware=best_of(3))),
}


@pytest.fixture(params=WRAPS)
def wrap(request: pytest.FixtureRequest) -> Wrap:
    name: str = request.param
    return WRAPS[name]


@pytest.fixture(name="script")
def _script() -> type[Script]:
    return Script


@pytest.fixture(name="texts")
def _texts() -> type[TextModel]:
    return TextModel


@pytest.fixture(name="calls")
def _calls() -> Callable[..., ChatMessage]:
    return tool_call


@pytest.fixture(name="best_of")
def _best_of() -> Callable[[int], Middleware]:
    return best_of


@pytest.fixture(autouse=True)
def _settings_of_its_own() -> Iterator[None]:
    Settings._llm = None
    Settings._callback_manager = None
    Settings._tokenizer = str.split
    yield
    Settings._llm = None
    Settings._callback_manager = CallbackManager([])
    Settings._tokenizer = None
