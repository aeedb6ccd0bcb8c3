"""The smallest LangChain chat model: it answers at once, so that only overhead is measured."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class Minimal(BaseChatModel):
    """Answers every call with the same message."""

    @property
    def _llm_type(self) -> str:
        return "minimal"

    def _generate(
        self,
        messages: list[BaseMessage],  # noqa: ARG002 - LangChain's signature
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: object = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("The answer is 4."))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: object = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> ChatResult:
        return self._generate(messages, stop, run_manager, **kwargs)
