"""Decisions in shadow that wait when the process ends: they are made, or the calls are told as the plain ones they were."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path as File

import pytest

from adaptive_middleware import Request, Rule, best_of_n, fixed
from adaptive_middleware.ports import Ports
from adaptive_middleware.shadowing import Shadowing, _left, nothing_drawn
from adaptive_middleware.trace.reading import Search, found
from adaptive_middleware.types import Outcome, Path, StepScores

REQUEST, PLAIN = Request("What is 2 + 2?"), Outcome(Path(("4",)))
RULE = Rule("code", best_of_n(fixed(3)), shadow=True)
PROGRAM = """
import sys, time
from pathlib import Path
from adaptive_middleware import Middleware, Request, Rule, best_of_n, fixed, shadowing
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.trace.settings import TraceSettings
from adaptive_middleware.trace.sink import TraceSink
from adaptive_middleware.types import StepScores

class Slow:
    def score(self, request, paths):
        time.sleep(float(sys.argv[2]))
        return [StepScores((0.5,))] * len(paths)

if __name__ == "__main__":
    shadowing.LAST_SECONDS = float(sys.argv[3])
    rule = Rule("code", best_of_n(fixed(3)), shadow=True)
    made = Middleware(rules=[rule], scorer=Slow(), observers=[TraceSink(TraceSettings(Path(sys.argv[1])))])
    for _ in range(3):
        made.run(Request("2 + 2?"), ScriptedSampler(["4"]))
"""


def ended(store: File, each: float, last: float) -> list[tuple[int, float] | None]:
    """What is kept of a program of three calls in shadow, each decided about in `each` seconds: samples, and p."""
    command = [sys.executable, "-c", PROGRAM, str(store), str(each), str(last)]
    subprocess.run(command, check=True, timeout=60)
    kept = [call.report for call in found(store, Search())]
    return [None if report is None else (report["shadow"], report["p"]) for report in kept]


def test_what_waits_is_decided_before_the_process_ends(tmp_path: File) -> None:
    assert ended(tmp_path / "t.db", 0.1, 50.0) == [(3, 0.5)] * 3, "with scores, which are there until then"


def test_what_takes_too_long_is_kept_as_the_plain_call_it_was(tmp_path: File) -> None:
    assert ended(tmp_path / "t.db", 2.0, 0.1) == [None, None, None]


class Waits:
    def __init__(self) -> None:
        self.go, self.asked = threading.Event(), threading.Event()

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        self.asked.set()
        self.go.wait(10)
        return [StepScores((0.5,))] * len(paths)


def test_a_decision_that_comes_too_late_is_not_told_a_second_time(caplog: pytest.LogCaptureFixture) -> None:
    told, scorer = list[int | None](), Waits()
    shadowing = Shadowing(
        Ports(nothing_drawn, scorer), lambda _request, outcome, _seconds: told.append(outcome.shadow)
    )
    shadowing.end(0.0)
    assert caplog.records == [], "nothing had begun"
    for _ in range(2):
        shadowing.put(RULE, REQUEST, PLAIN, 0.1)
    assert scorer.asked.wait(10)
    caplog.set_level(logging.WARNING)
    shadowing.end(0.01)
    assert told == [None, None]
    assert "2 calls are not decided about in shadow" in caplog.text
    shadowing.end(0.01)
    scorer.go.set()
    shadowing.wait()
    assert told == [None, None]
    assert len(caplog.records) == 1


def test_a_process_that_begins_no_threads_any_more_tells_the_plain_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_self: threading.Thread) -> None:
        message = "can't create new thread at interpreter shutdown"
        raise RuntimeError(message)

    told = list[Outcome]()
    shadowing = Shadowing(Ports(nothing_drawn), lambda _request, outcome, _seconds: told.append(outcome))
    monkeypatch.setattr(threading.Thread, "start", refused)
    shadowing.put(RULE, REQUEST, PLAIN, 0.1)
    assert told == [PLAIN]


def test_nobody_waits_where_all_is_decided_or_nobody_is_left(caplog: pytest.LogCaptureFixture) -> None:
    told = list[Outcome]()
    shadowing = Shadowing(Ports(nothing_drawn), lambda _request, outcome, _seconds: told.append(outcome))
    shadowing.put(RULE, REQUEST, PLAIN, 0.1)
    shadowing.end(10.0)
    shadowing.end(0.0)
    shadowing._thread = None  # as if it had died
    shadowing.put(RULE, REQUEST, PLAIN, 0.1)
    shadowing.end(10.0)
    assert [outcome.shadow for outcome in told] == [3, 3]
    _left(weakref.ref(shadowing), os.getpid())
    _left(lambda: None, os.getpid())  # type: ignore[arg-type]
    _left(lambda: shadowing, 0)  # type: ignore[arg-type]
    assert caplog.records == []
