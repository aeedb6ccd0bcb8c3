"""Observers that are there while a call is answered: entered and left in order, and none can harm a call."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pytest

from adaptive_middleware import Middleware, Request
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.types import Outcome, Path

REQUEST = Request("What is 2 + 2?")
INSIDE: ContextVar[tuple[str, ...]] = ContextVar("inside", default=())


class Around:
    """Notes what it sees, and fails where it is told to."""

    def __init__(self, name: str, fails: str = "") -> None:
        self.name, self.fails = name, fails
        self.seen: list[str] = []

    @contextmanager
    def around(self, request: Request) -> Iterator[None]:
        self._note("enter")
        token = INSIDE.set((*INSIDE.get(), self.name))
        try:
            yield
        except SamplerError as error:
            self.seen.append(str(error))
            raise
        finally:
            INSIDE.reset(token)
            self._note("exit")

    def ended(self, request: Request, outcome: Outcome, seconds: float) -> None:
        self._note("ended")

    def _note(self, what: str) -> None:
        self.seen.append(what)
        if what == self.fails:
            raise RuntimeError(what)


class Looking:
    """A sampler that sees the context of its call."""

    def __init__(self) -> None:
        self.inside: list[tuple[str, ...]] = []

    def sample(self, request: Request, n: int) -> list[Path]:
        self.inside.append(INSIDE.get())
        return [Path(("4",))] * n

    async def asample(self, request: Request, n: int) -> list[Path]:
        return self.sample(request, n)


async def test_they_are_entered_before_a_call_and_left_after_it_was_told() -> None:
    one, other, sampler = Around("one"), Around("other"), Looking()
    made = Middleware(observers=[one, other])
    made.run(REQUEST, sampler)
    await made.arun(REQUEST, sampler)
    assert one.seen == other.seen == ["enter", "ended", "exit"] * 2
    assert sampler.inside == [("one", "other")] * 2
    assert INSIDE.get() == ()


def test_streams_are_told_and_not_surrounded() -> None:
    one, sampler = Around("one"), Looking()
    list(Middleware(observers=[one]).stream(REQUEST, sampler))
    assert (one.seen, sampler.inside) == (["ended"], [()])


async def test_a_call_that_fails_is_seen_as_it_fails_and_its_error_stays_the_callers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = Around("one")
    made = Middleware(observers=[one])
    with pytest.raises(SamplerError, match="gone"):
        made.run(REQUEST, ScriptedSampler([SamplerError("gone")]))
    with pytest.raises(SamplerError, match="gone"):
        await made.arun(REQUEST, ScriptedSampler([SamplerError("gone")]))
    assert one.seen == ["enter", "gone", "exit"] * 2
    assert caplog.records == []


@pytest.mark.parametrize("fails", ["enter", "ended", "exit"])
def test_what_one_raises_is_logged_once_and_harms_neither_calls_nor_others(
    fails: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    bad, good = Around("bad", fails), Around("good")
    made = Middleware(observers=[bad, good])
    for _ in range(2):
        assert made.run(REQUEST, ScriptedSampler(["4"])).chosen.text == "4"
    assert good.seen == ["enter", "ended", "exit"] * 2
    assert len(caplog.records) == 1
    assert INSIDE.get() == ()


def test_an_error_on_the_way_out_does_not_hide_the_calls_own(caplog: pytest.LogCaptureFixture) -> None:
    made = Middleware(observers=[Around("bad", "exit")])
    with pytest.raises(SamplerError, match="gone"):
        made.run(REQUEST, ScriptedSampler([SamplerError("gone")]))
    assert len(caplog.records) == 1


class Raising:
    """A context that raises on its way out what it was left with."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            raise error


class Handing(Around):
    def around(self, request: Request) -> Raising:  # type: ignore[override]
        return Raising()


def test_a_context_that_hands_the_calls_error_on_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SamplerError, match="gone"):
        Middleware(observers=[Handing("x")]).run(REQUEST, ScriptedSampler([SamplerError("gone")]))
    assert caplog.records == []
