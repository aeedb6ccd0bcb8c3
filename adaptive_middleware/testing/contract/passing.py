"""Promises at one sample: the provider and the caller cannot tell that an adapter is there."""

from __future__ import annotations

import asyncio
from typing import Any

from adaptive_middleware.testing.contract.client import (
    ADD,
    ONE,
    PASSING,
    Adapter,
    Answer,
    Client,
    Json,
    asking,
    called,
    came_of,
    expect,
    pieces_of,
    told,
)
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.types import ToolCall

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
EVERYTHING: Json = {
    "temperature": 0.25,
    "top_p": 0.5,
    "seed": 7,
    "stop": ["END"],
    "max_tokens": 99,
    "user": "somebody",
    "vendor_field": {"kept": [1, None, "ü"]},
}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
FORM = {"type": "json_schema", "json_schema": {"name": "number", "schema": SCHEMA}}


def bodies() -> list[dict[str, Any]]:
    """Calls of many kinds: plain, with every parameter, structured, with parts, and within a tool loop."""
    call = ToolCall("add", {"a": 3, "b": 4}, "call-0")
    talk = [{"role": "system", "content": "Be brief. Ж 🙂"}, *asking()["messages"], *told(call, "7")]
    parts = [{"type": "text", "text": "What is 3 + 4?"}, PICTURE]
    return [
        asking(),
        asking(**EVERYTHING),
        asking(response_format=FORM),
        asking(tools=[ADD], tool_choice="auto"),
        {**asking(tools=[ADD], temperature=0), "messages": talk},
        {**asking(), "messages": [{"role": "user", "content": parts}]},
    ]


def a_call_passed_on_is_the_frameworks_own_byte_for_byte(adapter: Adapter, server: Server) -> None:
    """What the provider gets, and what the caller gets, are those of the framework alone."""
    alone = called(adapter, server, None, *bodies())
    sent = list(server.bodies)
    expect("a request for each call", len(sent), len(alone))
    for config in (PASSING, ONE):
        answers = called(adapter, server, config, *bodies())
        expect("the answers", [one.said() for one in answers], alone)
        expect("the bytes that the provider got", server.bodies, sent)


def a_call_passed_on_has_no_report(adapter: Adapter, server: Server) -> None:
    """Where nothing was decided, nothing is said."""
    (answer,) = called(adapter, server, PASSING, asking())
    expect("the report", answer.report, None)


def a_stream_passed_on_comes_in_the_providers_pieces(adapter: Adapter, server: Server) -> None:
    """As many pieces as without the adapter, blocking and awaited, and the same bytes upstream."""
    alone = pieces_of(adapter, server, None, asking())
    sent = list(server.bodies)
    expect("the pieces", pieces_of(adapter, server, PASSING, asking()), alone)
    expect("the bytes that the provider got", server.bodies, sent)
    several = [isinstance(pieces, list) and len(pieces) > 1 for pieces in alone]
    expect("more than one piece", several, [True, True])


def bad_answers_passed_on_are_as_the_framework_takes_them(adapter: Adapter, server: Server) -> None:
    """Arguments that are not JSON, two calls with one id, an empty answer, an error: as without the adapter."""
    bad = [asking(behaviour, tools=[ADD]) for behaviour in ("malformed", "twins", "empty", "fail", "limit")]
    alone = came_of(adapter, server, None, *bad)
    for config in (PASSING, ONE):
        for body, found, wanted in zip(bad, came_of(adapter, server, config, *bad), alone, strict=True):
            expect(f"what came of {body['model']}", found, wanted)


def an_empty_stream_passed_on_is_as_the_framework_takes_it(adapter: Adapter, server: Server) -> None:
    """A stream without an event: the same pieces, or the same error."""
    alone = pieces_of(adapter, server, None, asking("empty"))
    expect("an empty stream", pieces_of(adapter, server, PASSING, asking("empty")), alone)


def asynchronous_calls_passed_on_are_the_same(adapter: Adapter, server: Server) -> None:
    """The same bytes upstream, and the same answer, whether awaited or not."""
    for config in (None, PASSING, ONE):
        blocking = called(adapter, server, config, *bodies())
        sent = list(server.bodies)
        with adapter(server.url, config) as client:
            server.reset()
            expect("the awaited answers", asyncio.run(_awaited(client)), blocking)
        expect("the bytes that the provider got", server.bodies, sent)


async def _awaited(client: Client) -> list[Answer]:
    return [await client.acall(body) for body in bodies()]
