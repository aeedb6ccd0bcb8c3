"""AdaptiveLLM: a LlamaIndex model that gives each call the samples it needs."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Annotated, Any, Self

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.bridge.pydantic import Field, PlainSerializer, SerializeAsAny, WithJsonSchema
from llama_index.core.llms.llm import LLM
from typing_extensions import override

from adaptive_middleware.middleware import Middleware
from adaptive_middleware.types import Request
from llama_index_adaptive.dictionaries import sampling_rules, with_parts
from llama_index_adaptive.reports import reported
from llama_index_adaptive.requests import completion_request
from llama_index_adaptive.sampler import chat_sampler, completion_sampler
from llama_index_adaptive.streamer import Reader
from llama_index_adaptive.structured import StructuredDelegation
from llama_index_adaptive.watching import awatched, watched

_COPIED = (
    "system_prompt",
    "messages_to_prompt",
    "completion_to_prompt",
    "output_parser",
    "pydantic_program_mode",
    "query_wrapper_prompt",
)
_SHARED = ("callback_manager", "rate_limiter")


class AdaptiveLLM(StructuredDelegation):
    """Any LlamaIndex `LLM`, with the middleware between its callers and it.

    The prompts, the output parser and the program mode are those of `llm` unless given; the callback
    manager and the rate limiter are shared with `llm` and stay so when they are set later. Calls whose
    rule passes through are calls of `llm`, streams included. All others draw their samples with
    `llm.chat` (or `llm.complete`), or read the streams of `llm` step by step, and return the chosen
    response, with the report in `additional_kwargs["adaptive"]`; their streams show the answer while it is
    written once it is certain, and else in one piece.

    >>> from llama_index.core.llms.mock import MockLLM
    >>> AdaptiveLLM(llm=MockLLM()).complete("echo").text
    'echo'
    """

    llm: SerializeAsAny[LLM] = Field(description="The model that answers.")
    middleware: Annotated[Middleware, PlainSerializer(sampling_rules), WithJsonSchema({"type": "object"})] = (
        Field(default_factory=Middleware, description="What decides how each call is answered.")
    )
    tags: tuple[str, ...] = Field(default=(), description="What rules of the middleware select calls by.")
    max_concurrency: int = Field(default=16, ge=1, description="The most calls of `llm` at the same moment.")
    idle: float = Field(default=60.0, gt=0, description="The longest silence of a stream, in seconds.")

    def __init__(self, llm: LLM, **settings: Any) -> None:  # noqa: ANN401 - the fields
        super().__init__(llm=llm, **{**_inherited(llm), **settings})
        for name in _SHARED:
            setattr(self.llm, name, getattr(self, name))

    @override
    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in _SHARED:
            setattr(self.llm, name, value)

    @override
    def __getstate__(self) -> dict[str, Any]:
        for name in ("llm", "middleware"):
            value = getattr(self, name)
            try:
                pickle.dumps(value)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                # LlamaIndex would drop it silently, here and in the object that is being pickled
                message = f"the {name} of this AdaptiveLLM cannot be pickled: {value!r}"
                raise pickle.PicklingError(message) from error
        return super().__getstate__()

    @classmethod
    @override
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises this class."""
        return "adaptive_llm"

    @classmethod
    @override
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """What `to_dict` wrote of a model; `kwargs` are what it cannot write: `middleware=`, most often `llm=`.

        Raises `ConfigError` when one of them is needed and missing.
        """
        return super().from_dict(with_parts(data, kwargs, cls))

    @property
    @override
    def metadata(self) -> LLMMetadata:
        """Those of the wrapped model."""
        return self.llm.metadata

    @override
    def to_payload(self) -> dict[str, Any]:
        """What the wrapped model tells observers, under this class's name."""
        return {**self.llm.to_payload(), "class_name": self.class_name()}

    @override
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The chosen answer to `messages`; `kwargs` are those of the wrapped model."""
        request = self._chat_request(messages, kwargs)
        if self._passes_through(request):
            return self.llm.chat(messages, **kwargs)
        sampler, streamer = (
            chat_sampler(self.llm, self.max_concurrency),
            self._reader(request).chats(self.llm),
        )
        return reported(self.middleware.run(request, sampler, streamer=streamer), ChatResponse)

    @override
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """As `chat`."""
        request = self._chat_request(messages, kwargs)
        if self._passes_through(request):
            return await self.llm.achat(messages, **kwargs)
        sampler, streamer = (
            chat_sampler(self.llm, self.max_concurrency),
            self._reader(request).achats(self.llm),
        )
        return reported(await self.middleware.arun(request, sampler, streamer=streamer), ChatResponse)

    @override
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """The wrapped model's stream, of the followed answer too; or the chosen answer in one piece."""
        request = self._chat_request(messages, kwargs)
        if self._passes_through(request):
            return self.llm.stream_chat(messages, **kwargs)
        sampler, streamer = (
            chat_sampler(self.llm, self.max_concurrency),
            self._reader(request).chats(self.llm),
        )
        return watched(self.middleware, request, sampler, streamer, ChatResponse)

    @override
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """As `stream_chat`."""
        request = self._chat_request(messages, kwargs)
        if self._passes_through(request):
            return await self.llm.astream_chat(messages, **kwargs)
        sampler, streamer = (
            chat_sampler(self.llm, self.max_concurrency),
            self._reader(request).achats(self.llm),
        )
        return await awatched(self.middleware, request, sampler, streamer, ChatResponse)

    @override
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The chosen completion of `prompt`; `kwargs` are those of the wrapped model."""
        request = self._completion_request(prompt, formatted, kwargs)
        if self._passes_through(request):
            return self.llm.complete(prompt, formatted=formatted, **kwargs)
        sampler, streamer = (
            completion_sampler(self.llm, self.max_concurrency),
            self._reader(request).completions(self.llm),
        )
        return reported(self.middleware.run(request, sampler, streamer=streamer), CompletionResponse)

    @override
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """As `complete`."""
        request = self._completion_request(prompt, formatted, kwargs)
        if self._passes_through(request):
            return await self.llm.acomplete(prompt, formatted=formatted, **kwargs)
        sampler = completion_sampler(self.llm, self.max_concurrency)
        streamer = self._reader(request).acompletions(self.llm)
        return reported(await self.middleware.arun(request, sampler, streamer=streamer), CompletionResponse)

    @override
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """The wrapped model's stream, of the followed one too; or the chosen completion in one piece."""
        request = self._completion_request(prompt, formatted, kwargs)
        if self._passes_through(request):
            return self.llm.stream_complete(prompt, formatted=formatted, **kwargs)
        sampler, streamer = (
            completion_sampler(self.llm, self.max_concurrency),
            self._reader(request).completions(self.llm),
        )
        return watched(self.middleware, request, sampler, streamer, CompletionResponse)

    @override
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        """As `stream_complete`."""
        request = self._completion_request(prompt, formatted, kwargs)
        if self._passes_through(request):
            return await self.llm.astream_complete(prompt, formatted=formatted, **kwargs)
        sampler = completion_sampler(self.llm, self.max_concurrency)
        streamer = self._reader(request).acompletions(self.llm)
        return await awatched(self.middleware, request, sampler, streamer, CompletionResponse)

    def _completion_request(self, prompt: str, formatted: bool, kwargs: dict[str, Any]) -> Request:
        return completion_request(prompt, formatted, kwargs, model=self.metadata.model_name, tags=self.tags)

    def _reader(self, request: Request) -> Reader:
        return Reader(self.middleware.rule(request).boundary, self.idle, self.max_concurrency)


def _inherited(llm: object) -> dict[str, Any]:
    names = (*_COPIED, *_SHARED) if isinstance(llm, LLM) else ()
    return {name: getattr(llm, name) for name in names}
