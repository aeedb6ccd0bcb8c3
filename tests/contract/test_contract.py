"""Every promise of the contract is broken by an adapter that has that one fault, and the page says how many there are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest

from adaptive_middleware.testing.contract import PROMISES, Answer, Client, Json, Promise
from adaptive_middleware.testing.contract.client import ONE, THREE
from adaptive_middleware.testing.contract.conversations import conversations_pass_on_byte_for_byte
from adaptive_middleware.testing.fake_openai import Server, fake_openai
from tests.contract import page
from tests.contract.sdk import through_httpx2


@dataclass(frozen=True)
class Parts:
    """A client whose calls can be exchanged."""

    call: Callable[[Json], Answer]
    acall: Callable[[Json], Awaitable[Answer]]
    stream: Callable[[Json], Iterator[str]]
    astream: Callable[[Json], AsyncIterator[str]]


Fault = Callable[[Parts], Parts]


def asked(change: Callable[[dict[str, Any]], Json]) -> Fault:
    return lambda parts: replace(parts, call=lambda body: parts.call(change(dict(body))))


def awaited(change: Callable[[dict[str, Any]], Json]) -> Fault:
    return lambda parts: replace(parts, acall=lambda body: parts.acall(change(dict(body))))


def given(change: Callable[[Answer], Answer]) -> Fault:
    return lambda parts: replace(parts, call=lambda body: change(parts.call(body)))


def streamed(change: Callable[[list[str]], list[str]]) -> Fault:
    return lambda parts: replace(parts, stream=lambda body: iter(change(list(parts.stream(body)))))


def swallowing(parts: Parts) -> Parts:
    def call(body: Json) -> Answer:
        try:
            return parts.call(body)
        except Exception:  # noqa: BLE001 - that is the fault
            return Answer("")

    return replace(parts, call=call)


def wrapping(parts: Parts) -> Parts:
    def call(body: Json) -> Answer:
        try:
            return parts.call(body)
        except Exception as error:
            raise RuntimeError(str(error)) from error

    return replace(parts, call=call)


def hiding(parts: Parts) -> Parts:
    async def astream(body: Json) -> AsyncIterator[str]:
        with suppress(Exception):
            async for piece in parts.astream(body):
                yield piece

    return replace(parts, astream=astream)


def caching(parts: Parts) -> Parts:
    kept: dict[str, Answer] = {}

    def call(body: Json) -> Answer:
        key = json.dumps(body)
        kept[key] = kept.get(key) or parts.call(body)
        return kept[key]

    return replace(parts, call=call)


def in_a_loop_of_its_own(parts: Parts) -> Parts:
    async def waited(body: Json) -> Answer:
        return await parts.acall(body)

    def call(body: Json) -> Answer:
        coroutine = waited(body)
        try:
            return asyncio.run(coroutine)
        finally:
            coroutine.close()

    return replace(parts, call=call)


def bound_to_a_loop(parts: Parts) -> Parts:
    one = asyncio.Semaphore(1)

    async def acall(body: Json) -> Answer:
        async with one:
            return await parts.acall(body)

    return replace(parts, acall=acall)


def deaf(parts: Parts) -> Parts:
    async def acall(body: Json) -> Answer:
        return await asyncio.shield(parts.acall(body))

    return replace(parts, acall=acall)


def refusing(parts: Parts) -> Parts:
    def call(body: Json) -> Answer:
        answer = parts.call(body)
        if not (answer.text or answer.calls):
            raise ValueError("nothing said")
        return answer

    return replace(parts, call=call)


def without(name: str) -> Callable[[dict[str, Any]], Json]:
    return lambda body: {key: value for key, value in body.items() if key != name}


def without_roles(body: dict[str, Any]) -> Json:
    return {**body, "messages": [one for one in body["messages"] if one["role"] != "tool"]}


def unforgiving(answer: Answer) -> Answer:
    report = answer.report or {"samples": 0, "candidates": []}
    if len(report["candidates"]) < report["samples"]:
        raise ValueError("a sample failed")
    return answer


FAULTS: dict[str, Fault] = {
    "a_call_passed_on_is_the_frameworks_own_byte_for_byte": asked(lambda body: {**body, "n": 1}),
    "a_call_passed_on_has_no_report": given(lambda answer: replace(answer, report={})),
    "a_stream_passed_on_comes_in_the_providers_pieces": streamed(lambda pieces: ["".join(pieces)]),
    "bad_answers_passed_on_are_as_the_framework_takes_them": swallowing,
    "an_empty_stream_passed_on_is_as_the_framework_takes_it": streamed(lambda pieces: pieces or ["?"]),
    "asynchronous_calls_passed_on_are_the_same": awaited(without("vendor_field")),
    "three_are_drawn_and_the_majority_wins": given(lambda answer: replace(answer, text="8")),
    "usage_is_the_sum_of_all_samples": given(lambda answer: replace(answer, usage=(9, 9))),
    "every_parameter_reaches_every_sample": asked(without("stop")),
    "samples_are_never_cached": caching,
    "the_report_says_what_was_decided": given(Answer.said),
    "awaited_calls_are_decided_as_blocking_ones": awaited(lambda body: {**body, "model": "fake"}),
    "a_stream_shows_only_the_winner": streamed(lambda pieces: pieces * 3),
    "a_tool_loop_goes_on": asked(without_roles),
    "only_the_winners_call_is_returned": given(lambda answer: replace(answer, calls=answer.calls * 3)),
    "a_call_that_cannot_be_read_never_wins": given(lambda answer: replace(answer, calls=())),
    "a_call_that_can_run_beats_two_that_cannot": given(lambda answer: replace(answer, calls=())),
    "bad_answers_only_are_as_the_framework_takes_them": given(lambda answer: replace(answer, calls=())),
    "an_abstention_is_seen": given(
        lambda answer: replace(answer, report={**(answer.report or {}), "abstained": None})
    ),
    "nothing_said_is_no_crash": refusing,
    "a_refused_call_raises_the_frameworks_own_error": wrapping,
    "a_refused_stream_raises_the_frameworks_own_error": hiding,
    "one_failed_sample_of_three_fails_nothing": given(unforgiving),
    "a_blocking_call_works_inside_a_running_loop": in_a_loop_of_its_own,
    "one_client_serves_event_loops_in_turn": bound_to_a_loop,
    "a_cancelled_call_leaves_the_provider_alone": deaf,
}
"""By promise, what an adapter that breaks it does to its calls."""
RAISED = {
    "one_failed_sample_of_three_fails_nothing": (ValueError, "a sample failed"),
    "a_blocking_call_works_inside_a_running_loop": (RuntimeError, "asyncio.run.. cannot be called"),
    "one_client_serves_event_loops_in_turn": (RuntimeError, "bound to a different event loop"),
}
"""What such an adapter raises itself; all else the suite finds by comparing."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with fake_openai() as running:
        yield running


def broken(fault: Fault) -> Callable[[str, Json | None], Any]:
    """The transport with a fault wherever it wraps."""

    @contextmanager
    def adapter(url: str, config: Json | None) -> Iterator[Client]:
        with through_httpx2(url, config) as client:
            whole = Parts(client.call, client.acall, client.stream, client.astream)
            yield whole if config is None else fault(whole)  # type: ignore[misc]

    return adapter


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_an_adapter_with_a_fault_breaks_the_promise(promise: Promise, server: Server) -> None:
    server.reset()
    kind, said = RAISED.get(promise.__name__, (AssertionError, "promised"))
    with pytest.raises(kind, match=said):
        promise(broken(FAULTS[promise.__name__]), server)


def test_fewer_samples_than_promised_are_seen(server: Server) -> None:
    (three,) = (one for one in PROMISES if one.__name__ == "three_are_drawn_and_the_majority_wins")

    def stingy(url: str, config: Json | None) -> Any:
        return through_httpx2(url, ONE if config is THREE else config)

    with pytest.raises(AssertionError, match="the samples drawn:\n  promised 3\n  found    1"):
        three(stingy, server)


def test_an_adapter_that_adds_a_field_is_found_by_random_conversations(server: Server) -> None:
    with pytest.raises(AssertionError, match="the bytes that the provider got"):
        conversations_pass_on_byte_for_byte(broken(asked(lambda body: {**body, "n": 1})), server)


def test_the_page_counts_the_promises() -> None:
    assert f"as a function: {len(PROMISES)} of them" in page.PAGE.read_text(encoding="utf-8")
