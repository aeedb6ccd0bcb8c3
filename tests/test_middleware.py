from __future__ import annotations

import asyncio
import pickle
import threading
import time
from collections.abc import Sequence

import pytest

from adaptive_middleware import Middleware, Request, Rule, best_of_n, fixed, optimal_stopping, pass_through
from adaptive_middleware.errors import DeadlineExceeded
from adaptive_middleware.testing import ScriptedSampler, TableScorer, answer
from adaptive_middleware.types import Path, StepScores, Verdict

REQUEST = Request("What is 2 + 2?")


def tagged(*tags: str) -> Request:
    return Request("?", tags=frozenset(tags))


THREE = Rule("codegen", best_of_n(fixed(3)), when=lambda r: "codegen" in r.tags)


def test_by_default_a_call_passes_through() -> None:
    sampler = ScriptedSampler(["4"])
    outcome = Middleware().run(REQUEST, sampler)
    assert (outcome.chosen.text, outcome.strategy, sampler.calls) == ("4", "pass-through", [1])
    assert Middleware().rule(REQUEST).passes_through


def test_the_first_rule_that_accepts_the_request_applies() -> None:
    middleware = Middleware(rules=[THREE], scorer=TableScorer(0.5))
    for request, name, calls in ((tagged("codegen"), "codegen", [3]), (tagged("chat"), "default", [1])):
        sampler = ScriptedSampler(["4"])
        outcome = middleware.run(request, sampler)
        assert (outcome.rule, sampler.calls) == (name, calls)


async def test_run_and_arun_agree() -> None:
    middleware = Middleware(best_of_n(optimal_stopping()), scorer=TableScorer(0.97))
    sync = middleware.run(REQUEST, ScriptedSampler(["4", "5"]))
    assert await middleware.arun(REQUEST, ScriptedSampler(["4", "5"])) == sync


async def test_a_named_rule_is_in_the_outcome_of_both_drivers() -> None:
    middleware = Middleware(rules=[THREE], scorer=TableScorer(0.5))
    assert (await middleware.arun(tagged("codegen"), ScriptedSampler(["4"]))).rule == "codegen"


async def test_scoring_runs_on_one_worker_thread_and_never_on_the_event_loop() -> None:
    seen: set[str] = set()

    def rule(path: Path) -> list[float]:
        seen.add(threading.current_thread().name)
        return [0.5] * max(len(path.steps), 1)

    middleware = Middleware(best_of_n(fixed(2)), scorer=TableScorer(rule))
    await asyncio.gather(*(middleware.arun(REQUEST, ScriptedSampler(["4"])) for _ in range(5)))
    assert len(seen) == 1
    assert seen.pop().startswith("adaptive-scorer")


def test_blocking_calls_from_many_threads_score_on_one_worker_thread() -> None:
    seen: set[int] = set()

    def rule(path: Path) -> list[float]:
        seen.add(threading.get_ident())
        return [0.5] * max(len(path.steps), 1)

    middleware = Middleware(best_of_n(fixed(2)), scorer=TableScorer(rule))
    together = threading.Barrier(8)

    def call() -> None:
        together.wait()
        middleware.run(REQUEST, ScriptedSampler(["4"]))

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(seen) == 1
    assert not seen & {caller.ident for caller in callers}


class KnowsFour:
    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        return [Verdict(path.text == "4") for path in paths]


async def test_a_verifier_ends_the_call_in_both_drivers() -> None:
    middleware = Middleware(best_of_n(optimal_stopping(), score=False, verify=True), verifier=KnowsFour())
    sync = middleware.run(REQUEST, ScriptedSampler(["5", "4"]))
    assert sync.choice is not None
    assert sync.choice.how == "verified"
    assert await middleware.arun(REQUEST, ScriptedSampler(["5", "4"])) == sync


async def test_a_scorer_that_fails_degrades_the_call_in_both_drivers() -> None:
    class Broken:
        def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
            message = "gone"
            raise OSError(message)

    middleware = Middleware(best_of_n(fixed(3)), scorer=Broken())
    for outcome in (
        middleware.run(REQUEST, ScriptedSampler(["5", "4", "4"])),
        await middleware.arun(REQUEST, ScriptedSampler(["5", "4", "4"])),
    ):
        assert outcome.chosen.text == "4"
        assert outcome.degraded == ("scores rejected: OSError: gone",)


def test_a_token_limit_holds_for_the_call() -> None:
    middleware = Middleware(rules=[Rule("capped", best_of_n(fixed(9), score=False), tokens=25)])
    outcome = middleware.run(REQUEST, ScriptedSampler([answer("4", tokens=10)]))
    assert outcome.usage.completion_tokens == 20
    assert "TokensExceeded" in outcome.degraded[0]


async def test_a_time_limit_returns_what_there_is() -> None:
    class Slow:
        calls = 0

        async def asample(self, request: Request, n: int) -> list[Path]:
            self.calls += 1
            if self.calls > 1:
                await asyncio.sleep(30)
            return [answer("4")]

    middleware = Middleware(rules=[Rule("quick", best_of_n(fixed(2), score=False), seconds=0.2)])

    class OneFirst(Slow):
        pass

    started = time.monotonic()
    outcome = await middleware.arun(REQUEST, OneFirst())
    assert time.monotonic() - started < 10
    assert outcome.chosen.text == "4"
    assert "DeadlineExceeded" in outcome.degraded[0]


def test_the_earlier_of_two_deadlines_counts() -> None:
    middleware = Middleware(rules=[Rule("slow", pass_through, seconds=60)])
    assert not middleware.rule(REQUEST).passes_through
    with pytest.raises(DeadlineExceeded):
        middleware.run(Request("?", deadline=time.monotonic() - 1), ScriptedSampler(["4"]))


async def test_a_middleware_that_has_worked_can_be_pickled_and_works_again() -> None:
    middleware = Middleware(best_of_n(fixed(2)), scorer=TableScorer(0.5))
    before = await middleware.arun(REQUEST, ScriptedSampler(["4"]))
    again: Middleware = pickle.loads(pickle.dumps(middleware))  # noqa: S301 - our own bytes
    assert await again.arun(REQUEST, ScriptedSampler(["4"])) == before
