"""Requests: a LlamaIndex call as the middleware sees it, and back to the arguments of that call."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ToolCallBlock

from adaptive_middleware.types import Request


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
    )


def completion_request(
    prompt: str, formatted: bool, arguments: Mapping[str, Any], *, model: str, tags: Iterable[str]
) -> Request:
    """The request of a completion call: the prompt is its only message, and its text."""
    parameters = {**arguments, "formatted": formatted}
    return Request(prompt, messages=(prompt,), parameters=parameters, tags=frozenset(tags), model=model)


def call_arguments(request: Request) -> dict[str, Any]:
    """The keyword arguments with which the wrapped model is called for `request`."""
    return {**request.parameters, "tools": request.tools} if request.tools else dict(request.parameters)


def transcript(messages: Sequence[ChatMessage]) -> str:
    """The question that a process reward model reads.

    A single user message is its text. Longer conversations are `role: text` in order, separated by
    blank lines, so that the last message comes last; tool calls are written as `name(arguments)`,
    everything that is not text as its kind in brackets.

    >>> transcript([ChatMessage("What is 2 + 2?")])
    'What is 2 + 2?'
    >>> print(transcript([ChatMessage("Be brief.", role="system"), ChatMessage("2 + 2?")]))
    system: Be brief.
    <BLANKLINE>
    user: 2 + 2?
    """
    if len(messages) == 1 and messages[0].role == MessageRole.USER:
        return _text(messages[0])
    return "\n\n".join(f"{message.role.value}: {_text(message)}" for message in messages)


def _text(message: ChatMessage) -> str:
    return "\n".join(_block_text(block) for block in message.blocks)


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
