"""LangChain's calls as requests: the conversation as the scorer reads it, and where the call came from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from inspect import signature
from typing import Any, Self

from langchain_core.callbacks.manager import BaseRunManager
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig

from adaptive_middleware.types import Request


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call comes from: what rules may look at beside the messages.

    Tags and metadata include what the call's parents handed down. `call_site` is the metadata's
    `call_site`, or else the name of the LangGraph node.
    """

    tags: frozenset[str] = frozenset()
    call_site: str | None = None
    run_id: str | None = None

    @classmethod
    def of_run(cls, run: BaseRunManager) -> Self:
        """The origin of a call that is under way."""
        return cls(frozenset(run.tags), _site(run.metadata), str(run.run_id))

    @classmethod
    def of_config(cls, config: RunnableConfig, tags: Sequence[str] | None) -> Self:
        """The origin of a call that is about to start, on a model with `tags` of its own."""
        return cls(frozenset([*config.get("tags", ()), *(tags or ())]), _site(config.get("metadata", {})))


STREAMING: ContextVar[Origin] = ContextVar("STREAMING", default=Origin())  # noqa: B039 - frozen
"""The origin of the stream that is about to start: LangChain starts streams without saying whose."""


def to_request(
    messages: Sequence[BaseMessage],
    stop: list[str] | None,
    kwargs: Mapping[str, Any],
    inner: BaseChatModel,
    origin: Origin,
) -> Request:
    """The request of one call: `messages` as they are, `kwargs` split into tools and parameters.

    The model's name is that of the call, or else `inner`'s own.
    """
    tools = kwargs.get("tools") or ()
    parameters = {name: value for name, value in kwargs.items() if name != "tools"} if tools else dict(kwargs)
    if stop is not None:
        parameters["stop"] = stop
    return Request(
        text=conversation_text(messages),
        messages=messages,
        tools=tools,
        parameters=parameters,
        tags=origin.tags,
        model=parameters.get("model") or model_name(inner),
        call_site=origin.call_site,
        run_id=origin.run_id,
        say=message_of,
    )


def message_of(role: str, text: str) -> BaseMessage:
    """A message of the model ("assistant") or of the user, for strategies that answer an answer."""
    return AIMessage(text) if role == "assistant" else HumanMessage(text)


def model_name(model: BaseChatModel) -> str | None:
    """What the model is called where it says so: in `model_name`, `model` or `model_id`."""
    own = vars(model)
    name = own.get("model_name") or own.get("model") or own.get("model_id")
    return name if isinstance(name, str) else None


def inner_arguments(request: Request, manager: BaseRunManager | None = None) -> dict[str, Any]:
    """What `to_request` split, put together again as keyword arguments for the inner model; tools first, as `bind_tools` has them."""
    tools = {"tools": request.tools} if request.tools else {}
    arguments = {"stop": None, **tools, **request.parameters}
    if manager is not None:
        arguments["run_manager"] = manager
    return arguments


@cache
def takes_manager(method: Callable[..., object]) -> bool:
    """Whether a model's `_generate` or `_agenerate` has a parameter for the run manager; it may not."""
    return "run_manager" in signature(method).parameters


def conversation_text(messages: Sequence[BaseMessage]) -> str:
    r"""What a process reward model reads as the question.

    A conversation of one human message is that message's text. Otherwise every message is a paragraph
    `role: text`, in order; tool calls are written `name({"argument": value})`, and parts that are not
    text `[type]`. System messages are left out: they tell the model how to answer, not what.

    >>> conversation_text([HumanMessage("2 + 2?"), AIMessage("4"), HumanMessage("Sure?")])
    'human: 2 + 2?\n\nai: 4\n\nhuman: Sure?'
    """
    turns = [message for message in messages if not isinstance(message, SystemMessage)]
    if len(turns) == 1 and isinstance(turns[0], HumanMessage):
        return _text(turns[0])
    return "\n\n".join(f"{message.type}: {_text(message)}" for message in turns)


def _site(metadata: Mapping[str, Any]) -> str | None:
    site = metadata.get("call_site") or metadata.get("langgraph_node")
    return None if site is None else str(site)


def _text(message: BaseMessage) -> str:
    content = message.content
    parts = [content] if isinstance(content, str) else [_part(part) for part in content]
    if isinstance(message, AIMessage):
        parts += [f"{c['name']}({json.dumps(c['args'], ensure_ascii=False)})" for c in message.tool_calls]
    return "\n".join(part for part in parts if part)


def _part(part: str | dict[str, Any]) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type", "part")
    if kind == "text":
        return str(part.get("text", ""))
    return "" if kind in {"tool_use", "tool_call"} else f"[{kind}]"
