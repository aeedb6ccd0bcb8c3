"""Promises about tool calls: the loop goes on, one answer's calls are returned, and a bad one never wins."""

from __future__ import annotations

from adaptive_middleware.testing.contract.client import (
    ADD,
    CAREFUL,
    CHECKED,
    ONE,
    PASSING,
    THREE,
    Adapter,
    asking,
    called,
    came_of,
    expect,
    pieces_of,
    told,
)
from adaptive_middleware.testing.fake_openai import Server
from adaptive_middleware.types import ToolCall

SUM = ToolCall("add", {"a": 3, "b": 4}, "call-0")


def a_tool_loop_goes_on(adapter: Adapter, server: Server) -> None:
    """A call, its result (after a message whose content is null), and the answer made of it."""
    for config in (None, PASSING, ONE, THREE):
        with adapter(server.url, config) as client:
            server.reset()
            first = client.call(asking(tools=[ADD]))
            expect("the tool calls", first.calls, (SUM,))
            talk = [*asking()["messages"], *told(SUM, "7")]
            expect("the last text", client.call(asking(tools=[ADD], messages=talk)).text, "The tool says 7.")


def only_the_winners_call_is_returned(adapter: Adapter, server: Server) -> None:
    """Of three calls, two of them equal, the caller gets one of the two, once."""
    (answer,) = called(adapter, server, THREE, asking("outlier", tools=[ADD]))
    expect("the samples drawn", server.choices, 3)
    expect("the tool calls", answer.calls, (SUM,))


def a_call_that_cannot_be_read_never_wins(adapter: Adapter, server: Server) -> None:
    """The arguments of the first sample are no JSON; the other two are called."""
    (answer,) = called(adapter, server, THREE, asking("malformed=3", tools=[ADD]))
    expect("the samples drawn", server.choices, 3)
    expect("the tool calls", answer.calls, (SUM,))


def a_call_that_can_run_beats_two_that_cannot(adapter: Adapter, server: Server) -> None:
    """The arguments of the first and the third sample are no JSON, and calls are checked against their schemas."""
    (answer,) = called(adapter, server, CHECKED, asking("malformed=2", tools=[ADD]))
    expect("the samples drawn", server.choices, 3)
    expect("the tool calls", answer.calls, (SUM,))


def bad_answers_only_are_as_the_framework_takes_them(adapter: Adapter, server: Server) -> None:
    """Where all three samples have the same fault, text and calls are those of the framework alone."""
    bad = [asking(behaviour, tools=[ADD]) for behaviour in ("malformed", "twins")]
    alone = [(one.text, one.calls) for one in called(adapter, server, None, *bad)]
    found = [(one.text, one.calls) for one in called(adapter, server, THREE, *bad)]
    expect("what came of three bad answers", found, alone)


def an_abstention_is_seen(adapter: Adapter, server: Server) -> None:
    """A call that is not sure enough is not returned: words are, streamed too, and the report says why."""
    (answer,) = called(adapter, server, CAREFUL, asking(tools=[ADD]))
    expect("the tool calls", answer.calls, ())
    expect("the beginning of the text", answer.text[:20], "No tool was called: ")
    expect("a reason in the report", bool((answer.report or {}).get("abstained")), wanted=True)
    streams = pieces_of(adapter, server, CAREFUL, asking(tools=[ADD]))
    joined = ["".join(pieces) if isinstance(pieces, list) else pieces for pieces in streams]
    expect("the texts of two streams", joined, [answer.text] * 2)


def nothing_said_is_no_crash(adapter: Adapter, server: Server) -> None:
    """Three empty answers are an empty answer, or the framework's error for one."""
    (alone,) = came_of(adapter, server, None, asking("empty"))
    (found,) = came_of(adapter, server, THREE, asking("empty"))
    expect("what came of three empty answers", type(found), type(alone))
