"""F28: the wall clock jumps, and no deadline notices."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware import Middleware, Request, Rule, best_of_n, fixed
from adaptive_middleware.deadline import Deadline
from adaptive_middleware.errors import DeadlineExceeded
from adaptive_middleware.scoring.breaker import Breaker
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.types import Path

pytestmark = pytest.mark.fault

JUMPS = [3 * 86400.0, -3600.0]


class Jumping:
    """Draws an answer, while the wall clock jumps."""

    def __init__(self, jump: Callable[[], None]) -> None:
        self.jump, self.drawn = jump, 0

    def sample(self, request: Request, n: int) -> list[Path]:
        self.jump()
        self.drawn += n
        return ScriptedSampler(["4"]).sample(request, n)


@pytest.mark.parametrize("jump", JUMPS)
def test_f28_a_deadline_is_not_moved_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    wall = time.time
    rule = Rule("default", best_of_n(fixed(3), score=False), seconds=30.0)
    sampler = Jumping(lambda: monkeypatch.setattr(time, "time", lambda: wall() + jump))
    outcome = Middleware(rules=[rule]).run(Request("q"), sampler)
    assert (outcome.degraded, sampler.drawn, outcome.chosen.text) == ((), 3, "4")


@pytest.mark.parametrize("jump", JUMPS)
def test_f28_a_deadline_that_has_passed_stays_passed(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    wall, ends = time.time, time.monotonic() - 0.001
    monkeypatch.setattr(time, "time", lambda: wall() + jump)
    with pytest.raises(DeadlineExceeded):
        Middleware(best_of_n(fixed(3), score=False)).run(Request("q", deadline=ends), ScriptedSampler(["4"]))


@pytest.mark.parametrize("jump", JUMPS)
def test_f28_an_open_breaker_is_not_moved_by_the_wall_clock(
    monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    breaker, wall = Breaker(failures=1, seconds=60.0), time.time
    breaker.failed()
    monkeypatch.setattr(time, "time", lambda: wall() + jump)
    assert not breaker.admits()
    assert 50 < breaker.trial_in <= 60


def test_f28_nothing_that_decides_reads_the_wall_clock() -> None:
    """The modules that hold deadlines, limits and breakers do not even name it."""
    code = (
        "import inspect, sys\n"
        "from adaptive_middleware import deadline, engine, following, middleware, worker\n"
        "from adaptive_middleware.sampling import endpoint, fanout, settling\n"
        "from adaptive_middleware.scoring import breaker, replicas, shield\n"
        "from adaptive_middleware.strategies import guards\n"
        "names = 'time.time(', 'datetime', 'time_ns(', 'perf_counter'\n"
        "modules = [deadline, engine, following, middleware, worker, endpoint, fanout, settling, breaker, replicas, shield, guards]\n"
        "sys.exit(any(name in inspect.getsource(one) for one in modules for name in names))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SECONDS = st.floats(0, 1e6)


@given(at=SECONDS, now=SECONDS, wait=SECONDS, part=st.floats(0, 1))
def test_f28_a_deadlines_arithmetic_is_one(at: float, now: float, wait: float, part: float) -> None:
    call = Deadline(at, lambda: now)
    left = max(at - now, 0.0)
    assert call.left() == call.seconds() == left
    assert call.within(wait) == min(wait, left)
    assert call.allows(wait) == (wait < left)
    assert call.share(part).left() == pytest.approx(part * left, abs=1e-6)
    assert call.sooner(wait).left() == pytest.approx(min(wait, left), abs=1e-6)
    assert call.sooner(None) is call
    endless = Deadline(None, lambda: now)
    assert endless.share(part) is endless
    assert endless.sooner(wait).left() == pytest.approx(wait, abs=1e-6)
    assert endless.allows(wait)
