"""A scorer that fails or hangs: it is given its share of a call's time, left alone after failures, and tried again."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from itertools import chain, repeat

import pytest

from adaptive_middleware import Middleware, Request, best_of_n, fixed
from adaptive_middleware.errors import DeadlineExceeded, NotAnswerable, ScorerError, ScorerTimeout, Unscorable
from adaptive_middleware.scoring.breaker import Breaker
from adaptive_middleware.scoring.shield import Shield
from adaptive_middleware.testing import ScriptedSampler, TableScorer
from adaptive_middleware.types import Outcome, Path, StepScores, Verdict
from adaptive_middleware.worker import Worker

ASKED = Request("q")
PATH = (Path(("one",)),)


class Scripted:
    """A scorer that raises or waits as it is told, and otherwise answers."""

    def __init__(self, *script: Exception | float | None) -> None:
        self.script = chain(script, repeat(None))
        self.calls = 0

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        self.calls += 1
        match next(self.script):
            case Exception() as error:
                raise error
            case float(seconds):
                time.sleep(seconds)
        return [StepScores((0.5,) * max(len(path.steps), 1)) for path in paths]


class Direct(Scripted):
    """The same, called from any thread and task; it raises `TimeoutError` at its deadline, as such scorers do."""

    concurrent = True

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        assert request.deadline is not None
        self.calls += 1
        time.sleep(request.deadline - time.monotonic())
        raise TimeoutError

    async def ascore(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        self.calls += 1
        await asyncio.Event().wait()
        return []


def scored(worker: Worker, request: Request) -> Sequence[StepScores]:
    return worker.score(request, PATH)


def awaited(worker: Worker, request: Request) -> Sequence[StepScores]:
    return asyncio.run(worker.ascore(request, PATH))


both = pytest.mark.parametrize("ask", [scored, awaited])
Ask = Callable[[Worker, Request], Sequence[StepScores]]


@both
def test_after_failures_in_a_row_the_scorer_is_left_alone_then_tried_once(ask: Ask) -> None:
    now = [0.0]
    scorer = Scripted(*[OSError("gone")] * 4)
    worker = Worker(scorer, None, Shield(Breaker(3, 10.0, lambda: now[0])))
    for _ in range(3):
        with pytest.raises(OSError, match="gone"):
            ask(worker, ASKED)
    now[0] = 4.0
    for _ in range(5):
        with pytest.raises(ScorerError, match=r"after 3 failures .*OSError: gone.* again in 6 s"):
            ask(worker, ASKED)
    assert (scorer.calls, worker.shield.breaker.state) == (3, "open")
    now[0] = 10.0
    assert worker.shield.breaker.state == "half-open"
    with pytest.raises(OSError, match="gone"):
        ask(worker, ASKED)
    with pytest.raises(ScorerError, match="again in 10 s"):
        ask(worker, ASKED)
    now[0] = 20.0
    assert ask(worker, ASKED)[0].values == (0.5,)
    assert (scorer.calls, worker.shield.breaker.state, worker.shield.breaker.trial_in) == (5, "closed", 0.0)


@both
@pytest.mark.parametrize("error", [Unscorable("too long"), NotAnswerable("not this")])
def test_what_cannot_be_scored_is_not_the_scorers_failure(ask: Ask, error: Exception) -> None:
    worker = Worker(Scripted(*[error] * 9), None, Shield(Breaker(failures=1)))
    for _ in range(9):
        with pytest.raises(type(error)):
            ask(worker, ASKED)
    assert worker.shield.breaker.state == "closed"


@both
@pytest.mark.parametrize("kind", [Scripted, Direct])
def test_a_scorer_that_hangs_gets_its_share_of_the_time_and_no_more(ask: Ask, kind: type[Scripted]) -> None:
    worker = Worker(kind(0.6), None, Shield(Breaker(failures=1)))
    began = time.monotonic()
    with pytest.raises(ScorerTimeout, match=r"no score within 0\.2|no score within 0\.30"):
        ask(worker, Request("q", deadline=began + 0.6))
    assert 0.25 <= time.monotonic() - began < 0.6 or kind is Scripted  # asyncio.run waits for its threads
    assert worker.shield.breaker.state == "open"


def test_a_time_out_that_a_short_deadline_made_is_not_the_scorers_failure() -> None:
    worker = Worker(Scripted(0.3), None, Shield(Breaker(failures=1)))
    with pytest.raises(ScorerTimeout):
        worker.score(Request("q", deadline=time.monotonic() + 0.1), PATH)
    assert worker.shield.breaker.state == "closed"


@both
def test_a_time_out_of_the_scorers_own_is_its_failure(ask: Ask) -> None:
    worker = Worker(Scripted(TimeoutError("mine")), None, Shield(Breaker(failures=1)))
    with pytest.raises(TimeoutError, match="mine"):
        ask(worker, Request("q", deadline=time.monotonic() + 60))
    assert worker.shield.breaker.state == "open"


def test_opening_and_closing_are_each_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(Scripted(*[OSError("gone")] * 2), None, Shield(Breaker(2, 0.0)))
    with caplog.at_level(logging.WARNING, "adaptive_middleware"):
        for _ in range(2):
            with pytest.raises(OSError, match="gone"):
                worker.score(ASKED, PATH)
        worker.score(ASKED, PATH)
        worker.score(ASKED, PATH)
    assert [record.message.partition(" (")[0] for record in caplog.records] == [
        "the process reward model failed 2 times in a row",
        "the process reward model answers again",
    ]


def test_a_failure_that_opened_nothing_ends_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(Scripted(OSError("gone")), None, Shield(Breaker(2, 0.0)))
    with pytest.raises(OSError, match="gone"):
        worker.score(ASKED, PATH)
    worker.score(ASKED, PATH)
    assert not caplog.records


class Stuck:
    """A verifier that does not return before it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go, self.error = threading.Event(), error

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        if self.error is not None:
            raise self.error
        self.go.wait()
        return [Verdict(True)] * len(paths)


def ran(middleware: Middleware, request: Request) -> Outcome:
    return middleware.run(request, ScriptedSampler(["5", "4", "4"]))


def aran(middleware: Middleware, request: Request) -> Outcome:
    async def answered() -> Outcome:
        outcome = await middleware.arun(request, ScriptedSampler(["5", "4", "4"]))
        if isinstance(middleware.verifier, Stuck):
            middleware.verifier.go.set()
        return outcome

    return asyncio.run(answered())


@pytest.mark.parametrize("run", [ran, aran])
@pytest.mark.parametrize("error", [None, OSError("gone"), TimeoutError("mine")])
def test_a_verifier_that_hangs_or_fails_says_nothing_of_the_answers(
    run: Callable[[Middleware, Request], Outcome], error: Exception | None
) -> None:
    verifier = Stuck(error)
    middleware = Middleware(best_of_n(fixed(3), score=False, verify=True), verifier=verifier)
    try:
        outcome = run(middleware, Request("q", deadline=time.monotonic() + (0.4 if error is None else 60)))
    finally:
        verifier.go.set()
    assert outcome.chosen.text == "4"
    expected = DeadlineExceeded if error is None else type(error)
    assert outcome.degraded[0].startswith(f"not verified: {expected.__name__}: ")
    assert {one.verdict.passed for one in outcome.considered if one.verdict} == {None}


def test_a_hung_scorer_leaves_time_for_the_answer() -> None:
    middleware = Middleware(best_of_n(fixed(3)), scorer=Scripted(1.0))
    outcome = middleware.run(Request("q", deadline=time.monotonic() + 0.8), ScriptedSampler(["5", "4", "4"]))
    assert outcome.chosen.text == "4"
    assert outcome.degraded[0].startswith("scores rejected: ScorerTimeout: no score within 0.4")


def test_a_scorer_that_answers_in_time_knows_of_none_of_this() -> None:
    middleware = Middleware(best_of_n(fixed(3)), scorer=TableScorer(0.5))
    request = Request("q", deadline=time.monotonic() + 60)
    assert middleware.run(request, ScriptedSampler(["4"])).degraded == ()
