"""Requests: a LlamaIndex call as the middleware sees it, and back to the arguments of that call."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ToolCallBlock

from adaptive_middleware.types import Request

_INSTRUCTIONS = (MessageRole.SYSTEM, MessageRole.DEVELOPER)


def chat_request(
    messages: Sequence[ChatMessage], arguments: Mapping[str, Any], *, model: str, tags: Iterable[str]
) -> Request:
    """The request of a chat call; `messages` are handed on untouched, tools under their own name."""
    tools = arguments.get("tools") or ()
    parameters = {key: value for key, value in arguments.items() if key != "tools" or not tools}
    return Request(
        transcript(messages),
        messages=messages,
        tools=tools,
        parameters=parameters,
        tags=frozenset(tags),
        model=model,
        say=message_of,
    )


def message_of(role: str, text: str) -> ChatMessage:
    """A message of the model ("assistant") or of the user, for strategies that answer an answer."""
    return ChatMessage(text, role=role)


def completion_request(
    prompt: str, formatted: bool, arguments: Mapping[str, Any], *, model: str, tags: Iterable[str]
) -> Request:
    """The request of a completion call: the prompt is its only message, and its text."""
    parameters = {**arguments, "formatted": formatted}
    return Request(prompt, messages=(prompt,), parameters=parameters, tags=frozenset(tags), model=model)


def call_arguments(request: Request) -> dict[str, Any]:
    """The keyword arguments with which the wrapped model is called for `request`; tools first, as LlamaIndex has them."""
    return {"tools": request.tools, **request.parameters} if request.tools else dict(request.parameters)


def transcript(messages: Sequence[ChatMessage]) -> str:
    """The question that a process reward model reads.

    A single user message is its text. Longer conversations are paragraphs `role: text` in order, so
    that the last message comes last; tool calls are written `name(arguments)`, everything that is not
    text as its kind in brackets. System messages are left out: they say how to answer, not what.

    >>> print(transcript([ChatMessage("Be brief.", role="system"), ChatMessage("What is 2 + 2?")]))
    What is 2 + 2?
    >>> print(transcript([ChatMessage("2 + 2?"), ChatMessage("4", role="assistant"), ChatMessage("Sure?")]))
    user: 2 + 2?
    <BLANKLINE>
    assistant: 4
    <BLANKLINE>
    user: Sure?
    """
    turns = [message for message in messages if message.role not in _INSTRUCTIONS]
    if len(turns) == 1 and turns[0].role == MessageRole.USER:
        return _text(turns[0])
    return "\n\n".join(f"{message.role.value}: {_text(message)}" for message in turns)


def _text(message: ChatMessage) -> str:
    return "\n".join(text for text in map(_block_text, message.blocks) if text)


def _block_text(block: object) -> str:
    match block:
        case TextBlock():
            return block.text
        case ToolCallBlock():
            kwargs = block.tool_kwargs
            written = (
                kwargs if isinstance(kwargs, str) else json.dumps(kwargs, ensure_ascii=False, default=str)
            )
            return f"{block.tool_name}({written})"
    return f"[{type(block).__name__.removesuffix('Block').lower()}]"
