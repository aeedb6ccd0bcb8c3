"""Sandboxes that wait: each is used once, replaced, and ended without anybody waiting for that."""

import threading

import pytest

from adaptive_middleware.errors import SandboxError
from adaptive_middleware.verify.sandbox.limits import Limits, Session
from adaptive_middleware.verify.sandbox.unsafe import unsafe
from adaptive_middleware.verify.sandbox.warm import warm
from adaptive_middleware.verify.stub import Stub

LIMITS = Limits(seconds=1, memory_mb=256)


class Broken:
    """A sandbox that does not start."""

    name = "broken"

    def open(self, limits: Limits) -> Session:
        message = f"no namespaces here for {limits.seconds} s"
        raise SandboxError(message)


class Slow:
    """Sandboxes that end only when they are let, and say in which thread they did."""

    name = "slow"

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.may_end = threading.Event()

    def open(self, limits: Limits) -> Session:
        return _Ending(self)


class _Ending(Stub):
    def __init__(self, slow: Slow) -> None:
        super().__init__(b"VN")
        self.slow = slow

    def close(self) -> None:
        self.slow.may_end.wait()
        self.slow.ended.append(threading.current_thread().name)


def test_who_has_an_answer_does_not_wait_for_the_end_and_close_does() -> None:
    slow = Slow()
    with warm(slow, LIMITS, 1) as ready:
        session = ready.open(LIMITS)
        assert session.alive()
        session.close()
        assert (slow.ended, session.alive()) == ([], False)
        slow.may_end.set()
    assert slow.ended[0].startswith("adaptive-sandbox-end")
    late = warm(slow, LIMITS, 1)
    session = late.open(LIMITS)
    late.close()
    session.close()
    assert slow.ended[-1] == threading.current_thread().name


def test_sandboxes_that_wait_are_used_once_and_replaced() -> None:
    with warm(unsafe(), LIMITS, 1) as ready:
        assert ready.name == "none"
        first = ready.open(LIMITS)
        second, other = ready.open(LIMITS), ready.open(Limits(seconds=2))
        first.close()
        first.close()
        second.close()
        other.close()
        ready._ender.submit(int).result()
        ready._starter.submit(int).result()
        third = ready.open(LIMITS)
        assert third.alive()
        assert third.ask(b"l2;s4;loads0;", 5) == b"VN"
        assert third.finish(b"l3;s7;programs0;b0;", 5).how == "ended"
    third.close()
    with warm(Broken(), LIMITS, 1) as none, pytest.raises(SandboxError):
        none.open(LIMITS)


def test_what_died_while_it_waited_is_not_used() -> None:
    with warm(unsafe(), LIMITS, 1) as ready:
        ready._waiting[0].close()
        session = ready.open(LIMITS)
        assert session.alive()
        session.close()


def test_who_still_works_while_it_is_closed_is_served_by_the_sandbox_inside() -> None:
    slow = Slow()
    slow.may_end.set()
    ready = warm(slow, LIMITS, 0)
    lent = ready.open(LIMITS)
    ready._ender.shutdown()
    lent.close()
    assert slow.ended == [threading.current_thread().name]
    busy, may_go = threading.Event(), threading.Event()

    def long() -> None:
        busy.set()
        may_go.wait()

    ready._starter.submit(long)
    busy.wait()
    found: list[Session] = []
    asking = threading.Thread(target=lambda: found.append(ready.open(LIMITS)))
    asking.start()
    while not ready._starter._work_queue.qsize():
        pass
    ready._starter.shutdown(wait=False, cancel_futures=True)
    asking.join()
    may_go.set()
    assert isinstance(found[0], _Ending)
    assert isinstance(ready.open(LIMITS), _Ending)
    ready.close()
