"""Tools: the half of a function-calling model that is the wrapped model's own business."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM, ToolSelection
from llama_index.core.tools.types import BaseTool
from typing_extensions import override

from adaptive_middleware.errors import ConfigError


class ToolDelegation(FunctionCallingLLM):
    """How tools are told to a model and read from its answer: as the model in `llm` does it.

    The tool calls themselves are chats, so the subclass's `chat` and its streams decide how they are
    sampled. Calling tools without a function-calling model in `llm` raises `ConfigError`.
    """

    llm: LLM

    @override
    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        return self._function_calling_llm()._prepare_chat_with_tools_compat(  # noqa: SLF001 - its contract
            tools,
            user_msg=user_msg,
            chat_history=chat_history,
            verbose=verbose,
            allow_parallel_tool_calls=allow_parallel_tool_calls,
            tool_required=tool_required,
            **kwargs,
        )

    @override
    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[BaseTool],
        allow_parallel_tool_calls: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        return self._function_calling_llm()._validate_chat_with_tools_response(  # noqa: SLF001 - its contract
            response, tools, allow_parallel_tool_calls=allow_parallel_tool_calls, **kwargs
        )

    @override
    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """The tool calls in `response`, as the wrapped model reads them; none without function calling."""
        if not error_on_no_tool_call and not isinstance(self.llm, FunctionCallingLLM):
            return []
        return self._function_calling_llm().get_tool_calls_from_response(
            response, error_on_no_tool_call=error_on_no_tool_call, **kwargs
        )

    def _function_calling_llm(self) -> FunctionCallingLLM:
        if not isinstance(self.llm, FunctionCallingLLM):
            name = type(self.llm).__name__
            message = (
                f"{name} is not a FunctionCallingLLM, so AdaptiveLLM(llm={name}(...)) cannot call tools: "
                "wrap a function-calling model, or use it in a ReActAgent"
            )
            raise ConfigError(message)
        return self.llm
