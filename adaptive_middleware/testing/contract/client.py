"""What an adapter shows to the contract suite: one call in OpenAI's terms, and what its caller got.

The suite speaks chat-completions bodies and configurations as mappings, so that it knows no framework; the adapter's
author translates both, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.types import ToolCall

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller of a framework got of one call.

    `calls` are the tool calls that the framework would run, `usage` the (prompt, completion) tokens that it
    tells its caller, `report` the report of the middleware, where there is one.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    usage: tuple[int, int] = (0, 0)
    report: Json | None = None

    def said(self) -> Answer:
        """The answer without its report."""
        return replace(self, report=None)


class Client(Protocol):
    """A framework's model, wrapped by the adapter or bare; its own retries and caches are off.

    A `body` is that of a chat completion: `model`, `messages`, and whatever else the caller says: `tools`,
    `temperature`, `seed`, `stop`, `response_format`, and `vendor_field`, which no SDK knows.
    """

    def call(self, body: Json) -> Answer:
        """One blocking call."""
        ...

    async def acall(self, body: Json) -> Answer:
        """One asynchronous call, from whichever event loop."""
        ...

    def stream(self, body: Json) -> Iterator[str]:
        """One streamed call: the pieces of text, as the caller sees them."""
        ...

    def astream(self, body: Json) -> AsyncIterator[str]:
        """As `stream`, asynchronous."""
        ...


Adapter: TypeAlias = Callable[[str, "Json | None"], AbstractContextManager[Client]]
"""Opens a client of the endpoint at an address (it ends in `/v1`): wrapped with a configuration, bare without one."""

Promise: TypeAlias = Callable[[Adapter, Server], None]
"""One promise of the contract; raises `AssertionError` where the adapter breaks it."""

_VOTE = {"strategy": "best-of-n", "policy": {"kind": "fixed", "n": 3}, "max_samples": 3}
PASSING: Json = {"version": 1, "policies": {"default": {"strategy": "pass-through"}}}
"""Calls are passed through."""
ONE: Json = {
    "version": 1,
    "policies": {"default": {**_VOTE, "policy": {"kind": "fixed", "n": 1}, "max_samples": 1}},
}
"""A strategy that samples draws one answer."""
THREE: Json = {"version": 1, "policies": {"default": _VOTE}}
"""Three answers, and the vote of the majority."""
CHECKED: Json = {"version": 1, "policies": {"default": {**_VOTE, "verifier": {"kind": "tool-schema"}}}}
"""As `THREE`, but a tool call that cannot run has no vote."""
CAREFUL: Json = {
    "version": 1,
    "prm": {"kind": "python", "target": "adaptive_middleware.testing:TableScorer", "args": {"rule": 0.5}},
    "policies": {"default": {**_VOTE, "tools": {"add": {"target": 0.97, "on_fail": "abstain"}}}},
}
"""As `THREE`, but `add` is only called when it is right with probability 0.97, and it never is."""

ADD: Json = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}


def asking(behaviour: str = "arithmetic", text: str = "What is 3 + 4?", **more: object) -> dict[str, Any]:
    """The body of a question; `behaviour` is one of `fake_answers`."""
    return {"model": f"fake+{behaviour}", "messages": [{"role": "user", "content": text}], **more}


def told(call: ToolCall, result: str) -> list[dict[str, Any]]:
    """The messages that follow a tool call: the assistant's, which has no content, and the tool's."""
    written = '{"a": 3, "b": 4}'
    made = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": written}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": call.id, "content": result},
    ]


def expect(what: str, found: object, wanted: object) -> None:
    """Raise `AssertionError` unless what was found is what was promised."""
    if found != wanted:
        message = f"{what}:\n  promised {wanted!r}\n  found    {found!r}"
        raise AssertionError(message)


def called(adapter: Adapter, server: Server, config: Json | None, *bodies: Json) -> list[Answer]:
    """The answers to `bodies` one after the other, from a server that has forgotten all before."""
    with adapter(server.url, config) as client:
        server.reset()
        return [client.call(body) for body in bodies]


def came_of(adapter: Adapter, server: Server, config: Json | None, *bodies: Json) -> list[object]:
    """Of each body the answer without its report, or the class and text of the error that the caller sees."""
    with adapter(server.url, config) as client:
        server.reset()
        return [_tried(lambda body=body: client.call(body).said()) for body in bodies]  # type: ignore[misc]


def pieces_of(adapter: Adapter, server: Server, config: Json | None, body: Json) -> list[object]:
    """The pieces of two streams, the second one awaited; or the class and text of the error that the caller sees."""

    async def awaited(client: Client) -> list[str]:
        return [piece async for piece in client.astream(body)]

    with adapter(server.url, config) as client:
        server.reset()
        return [_tried(lambda: list(client.stream(body))), _tried(lambda: asyncio.run(awaited(client)))]


def _tried(call: Callable[[], object]) -> object:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whichever the framework has for it
        return type(error), str(error)
