"""Structured prediction: native where nothing is sampled, by sampled tool calls where something is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import Model
from typing_extensions import override

from adaptive_middleware.middleware import Middleware
from adaptive_middleware.types import Request
from llama_index_adaptive.requests import chat_request
from llama_index_adaptive.tools import ToolDelegation

if TYPE_CHECKING:
    from llama_index.core.program.utils import FlexibleModel


class StructuredDelegation(ToolDelegation):
    """Pydantic objects from a model, with as many samples as the call gets.

    A call that passes through is the wrapped model's own, with its native structured output. For any
    other call LlamaIndex's programs run on this model: the objects are read from sampled chats (by tool
    call, or from text), and the chosen one is returned.
    """

    middleware: Middleware
    tags: tuple[str, ...]

    # not abstract here and overridden below: LlamaIndex makes a span of every call of such a method
    def _chat_request(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> Request:
        return chat_request(messages, kwargs, model=self.metadata.model_name, tags=self.tags)

    def _passes_through(self, request: Request) -> bool:
        return self.middleware.rule(request).passes_through

    def _is_native(
        self, prompt: PromptTemplate, llm_kwargs: dict[str, Any] | None, prompt_args: dict[str, Any]
    ) -> bool:
        messages = prompt.format_messages(llm=self, **prompt_args)
        return self._passes_through(self._chat_request(messages, llm_kwargs or {}))

    @override
    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        if self._is_native(prompt, llm_kwargs, prompt_args):
            native: Model = self.llm.structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
            return native
        chosen: Model = super().structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
        return chosen

    @override
    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        if self._is_native(prompt, llm_kwargs, prompt_args):
            native: Model = await self.llm.astructured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
            return native
        chosen: Model = await super().astructured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
        return chosen

    @override
    def stream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Model | FlexibleModel, None, None]:
        if self._is_native(prompt, llm_kwargs, prompt_args):
            return self.llm.stream_structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
        return super().stream_structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)

    @override
    async def astream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Model | FlexibleModel, None]:
        if self._is_native(prompt, llm_kwargs, prompt_args):
            return await self.llm.astream_structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
        return await super().astream_structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
