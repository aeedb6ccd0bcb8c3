"""Observers are told of every answered call, and cannot harm one."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Callable, Iterable
from uuid import UUID

import pytest

from adaptive_middleware import Middleware, Request, best_of_n, fixed, pass_through, report
from adaptive_middleware.call_ids import call_id, call_id_at
from adaptive_middleware.effects import Strategy
from adaptive_middleware.testing import ScriptedSampler, answer
from adaptive_middleware.types import Outcome, Path

REQUEST = Request("What is 2 + 2?")


class Notes:
    def __init__(self) -> None:
        self.seen: list[tuple[Request, Outcome, float]] = []

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        self.seen.append((request, outcome, seconds))


class Broken:
    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        message = "the sink is gone"
        raise OSError(message)


def last(seen: Iterable[object]) -> Outcome:
    outcome = list(seen)[-1]
    assert isinstance(outcome, Outcome)
    return outcome


async def astreamed(middleware: Middleware) -> Outcome:
    return last([seen async for seen in middleware.astream(REQUEST, ScriptedSampler(["4"]))])


@pytest.mark.parametrize(
    "strategy", [pass_through, best_of_n(fixed(2), score=False)], ids=["plain", "sampled"]
)
async def test_every_way_to_call_tells_each_observer_once_what_the_caller_gets(
    strategy: Strategy,
) -> None:
    one, other = Notes(), Notes()
    middleware = Middleware(strategy, observers=[one, other])
    got = [
        middleware.run(REQUEST, ScriptedSampler(["4"])),
        await middleware.arun(REQUEST, ScriptedSampler(["4"])),
        last(middleware.stream(REQUEST, ScriptedSampler(["4"]))),
        await astreamed(middleware),
    ]
    assert [outcome for _, outcome, _ in one.seen] == got
    assert [outcome.id for _, outcome, _ in one.seen] == [outcome.id for outcome in got]
    assert one.seen == other.seen
    assert len({outcome.id for outcome in got}) == 4
    assert all(request == REQUEST for request, _, _ in one.seen)


def test_the_seconds_are_those_from_the_beginning_of_the_call_to_its_end() -> None:
    class Slow:
        def sample(self, request: Request, n: int) -> list[Path]:
            time.sleep(0.05)
            return [answer("4")]

    notes, began = Notes(), time.monotonic()
    Middleware(observers=[notes]).run(REQUEST, Slow())
    assert 0.05 <= notes.seen[0][2] <= time.monotonic() - began


def test_an_observer_that_raises_fails_no_call_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    notes = Notes()
    middleware = Middleware(observers=[Broken(), notes])
    with caplog.at_level(logging.ERROR):
        texts = [middleware.run(REQUEST, ScriptedSampler(["4"])).chosen.text for _ in range(3)]
    assert (texts, len(notes.seen)) == (["4", "4", "4"], 3)
    assert len(caplog.records) == 1
    assert "the sink is gone" in caplog.text


def test_a_call_that_fails_was_not_answered() -> None:
    class Down:
        def sample(self, request: Request, n: int) -> list[Path]:
            message = "refused"
            raise ConnectionError(message)

    notes = Notes()
    with pytest.raises(ConnectionError):
        Middleware(observers=[notes]).run(REQUEST, Down())
    assert notes.seen == []


def test_without_observers_a_call_has_no_id() -> None:
    assert Middleware().run(REQUEST, ScriptedSampler(["4"])).id is None


def test_the_report_names_the_call() -> None:
    outcome = Middleware(best_of_n(fixed(2), score=False), observers=[Notes()]).run(
        REQUEST, ScriptedSampler(["4"])
    )
    told = report(outcome)
    assert told is not None
    assert told["id"] == outcome.id


def test_an_observed_middleware_can_be_pickled() -> None:
    again: Middleware = pickle.loads(pickle.dumps(Middleware(observers=[Notes()])))  # noqa: S301 - our own bytes
    assert again.run(REQUEST, ScriptedSampler(["4"])).id is not None


def test_ids_of_later_moments_are_greater_whatever_their_noise() -> None:
    low, high = bytes(10), bytes([255]) * 10
    assert call_id_at(1_000_000, high) < call_id_at(2_000_000, low)


@pytest.mark.parametrize("make", [call_id, lambda: call_id_at(2**70, bytes([255]) * 10)])
def test_an_id_is_a_uuid_of_version_7(make: Callable[[], str]) -> None:
    assert (UUID(make()).version, UUID(make()).variant) == (7, "specified in RFC 4122")
