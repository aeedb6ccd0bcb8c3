from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.effects import Effect, Flow, Sample, Score
from adaptive_middleware.engine import run
from adaptive_middleware.errors import BudgetError, DeadlineExceeded, SamplerError, TokensExceeded
from adaptive_middleware.policy import agreement, fixed, optimal_stopping
from adaptive_middleware.ports import Ports
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.guards import fail_open, transcript, within
from adaptive_middleware.testing import ScriptedSampler, TableScorer, answer
from adaptive_middleware.types import Estimate, Outcome, Path, Request, State, StepScores

REQUEST = Request("What is 2 + 2?")


class Broken:
    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        message = "CUDA is on fire"
        raise RuntimeError(message)


class Miscounting:
    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        return []


@pytest.mark.parametrize(
    ("scorer", "cause"),
    [(Broken(), "RuntimeError: CUDA is on fire"), (Miscounting(), "ScorerError: the scorer returned 0")],
)
def test_a_failing_scorer_leaves_a_vote_and_says_so(scorer: Broken, cause: str) -> None:
    flow = fail_open(best_of_n(optimal_stopping())(REQUEST), REQUEST)
    outcome = run(flow, Ports(ScriptedSampler(["5", "4", "4", "4", "4", "4"]), scorer))
    assert outcome.chosen.text == "4"
    assert len(outcome.degraded) == 1
    assert cause in outcome.degraded[0]


def test_a_failing_policy_returns_the_answer_already_drawn() -> None:
    def policy(state: State) -> int:
        if state.drawn:
            message = "no such key"
            raise KeyError(message)
        return 2

    sampler = ScriptedSampler(["4"])
    outcome = run(fail_open(best_of_n(policy, score=False)(REQUEST), REQUEST), Ports(sampler))
    assert (outcome.chosen.text, sampler.calls) == ("4", [2])
    assert outcome.usage.completion_tokens == 2
    assert outcome.degraded == ("KeyError: 'no such key'",)


def test_a_calibrator_that_fails_on_the_question_leaves_one_plain_call() -> None:
    def calibrate(path: Path, scores: StepScores) -> Estimate:
        message = "no map for this"
        raise ValueError(message)

    sampler = ScriptedSampler(["4"])
    flow = fail_open(best_of_n(fixed(3), calibrate=calibrate)(REQUEST), REQUEST)
    outcome = run(flow, Ports(sampler, TableScorer(0.5)))
    assert (outcome.chosen.text, sampler.calls) == ("4", [1])
    assert outcome.degraded == ("ValueError: no map for this",)


def test_the_samplers_error_is_the_callers_to_see() -> None:
    error = ConnectionError("down")
    with pytest.raises(ConnectionError) as caught:
        run(
            fail_open(best_of_n(fixed(1))(REQUEST), REQUEST),
            Ports(ScriptedSampler([error]), TableScorer(0.5)),
        )
    assert caught.value is error


def test_no_usable_sample_is_not_hidden_by_a_further_call() -> None:
    sampler = ScriptedSampler([answer("", error="HTTP 500")])
    with pytest.raises(SamplerError):
        run(fail_open(best_of_n(fixed(2), 2, score=False)(REQUEST), REQUEST), Ports(sampler))
    assert sum(sampler.calls) == 2


def broken_at_once(request: Request) -> Flow[Outcome]:
    yield Sample(request, 1)
    message = "bug"
    raise ValueError(message)


def test_when_even_the_plain_call_fails_the_bug_is_raised() -> None:
    sampler = ScriptedSampler([answer("", error="HTTP 500")])
    with pytest.raises(ValueError, match="bug"):
        run(fail_open(broken_at_once(REQUEST), REQUEST), Ports(sampler))


class Late:
    """Is cut off by the deadline when it has more than the question to score."""

    def __init__(self, *, at_once: bool) -> None:
        self.at_once = at_once

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        if self.at_once or paths[0].steps:
            raise DeadlineExceeded("Score was cancelled")
        return [StepScores((0.5,))] * len(paths)


def test_a_deadline_while_scoring_the_question_is_the_callers_to_see() -> None:
    with pytest.raises(DeadlineExceeded):
        run(
            fail_open(best_of_n(fixed(1))(REQUEST), REQUEST),
            Ports(ScriptedSampler(["4"]), Late(at_once=True)),
        )


def test_a_deadline_while_scoring_answers_does_not_lose_them() -> None:
    flow = fail_open(best_of_n(fixed(3))(REQUEST), REQUEST)
    outcome = run(flow, Ports(ScriptedSampler(["5", "4", "4"]), Late(at_once=False)))
    assert outcome.chosen.text == "4"
    assert outcome.degraded == ("scores rejected: DeadlineExceeded: Score was cancelled",)


def test_after_the_deadline_the_best_answer_so_far_is_returned() -> None:
    ticks = iter([0.0, 1.0, 2.0])
    flow = within(best_of_n(agreement(), score=False)(REQUEST), deadline=1.5, clock=lambda: next(ticks))
    outcome = run(flow, Ports(ScriptedSampler(["4"])))
    assert len(outcome.considered) == 2
    assert outcome.degraded == ("DeadlineExceeded: no time left for 1 more samples",)


def test_a_deadline_before_the_first_answer_is_a_typed_error() -> None:
    flow = within(best_of_n(fixed(1), score=False)(REQUEST), deadline=0.0, clock=lambda: 1.0)
    with pytest.raises(DeadlineExceeded):
        run(flow, Ports(ScriptedSampler(["4"])))


@given(budget=st.integers(3, 200), cost=st.integers(1, 60), n=st.integers(1, 30))
def test_equal_samples_never_exceed_the_token_limit_by_more_than_the_probe(
    budget: int, cost: int, n: int
) -> None:
    sampler = ScriptedSampler([answer("4", tokens=cost)])
    flow = within(best_of_n(fixed(n), 30, score=False)(REQUEST), tokens=budget)
    outcome = run(flow, Ports(sampler))
    spent = outcome.usage.completion_tokens
    assert spent <= max(budget, cost)
    assert len(outcome.considered) == max(1, min(n, budget // cost))


@given(budget=st.integers(1, 200), worst=st.integers(1, 60), data=st.data())
def test_with_max_tokens_known_the_limit_is_never_exceeded(
    budget: int, worst: int, data: st.DataObject
) -> None:
    costs = data.draw(st.lists(st.integers(0, worst), min_size=1, max_size=8))
    sampler = ScriptedSampler([answer("4", tokens=cost) for cost in costs])
    request = Request("?", parameters={"max_tokens": worst})
    flow = within(best_of_n(fixed(8), 8, score=False)(request), tokens=budget)
    if budget < worst:
        with pytest.raises(TokensExceeded, match=f"one more sample may cost {worst}"):
            run(flow, Ports(sampler))
        return
    assert run(flow, Ports(sampler)).usage.completion_tokens <= budget


def test_without_limits_within_changes_nothing() -> None:
    effects: list[Effect[object]] = []
    plain: list[Effect[object]] = []
    ports = Ports(ScriptedSampler(["4"]), TableScorer(0.5))
    guarded = run(transcript(within(best_of_n(fixed(3))(REQUEST)), effects), ports)
    bare = run(transcript(best_of_n(fixed(3))(REQUEST), plain), ports)
    assert guarded == bare
    assert effects == plain


def test_the_transcript_is_what_was_asked_in_order() -> None:
    effects: list[Effect[object]] = []
    run(
        transcript(best_of_n(fixed(2))(REQUEST), effects),
        Ports(ScriptedSampler(["4", "5"]), TableScorer(0.5)),
    )
    assert [type(effect) for effect in effects] == [Score, Sample, Score]


@pytest.mark.parametrize("guard", [within, lambda flow: transcript(flow, [])])
def test_guards_hand_errors_to_the_inner_flow_and_its_last_word_to_the_caller(guard: object) -> None:
    def stubborn(request: Request) -> Flow[Outcome]:
        try:
            paths = yield from Sample(request, 1)
        except ConnectionError:
            paths = yield from Sample(request, 1)
        return Outcome(paths[0])

    sampler = ScriptedSampler([ConnectionError("down"), "4"])
    assert callable(guard)
    assert run(guard(stubborn(REQUEST)), Ports(sampler)).chosen.text == "4"


def test_budget_errors_are_one_family() -> None:
    assert issubclass(DeadlineExceeded, BudgetError)
    assert issubclass(TokensExceeded, BudgetError)


def test_a_draw_that_fails_after_the_first_answer_loses_its_samples_only() -> None:
    sampler = ScriptedSampler(["1", ConnectionError("reset"), "2"])
    one_by_one = best_of_n(lambda _state: 1, max_samples=3, score=False)
    outcome = run(fail_open(one_by_one(REQUEST), REQUEST), Ports(sampler))
    assert [candidate.path.text for candidate in outcome.considered] == ["1", "2"]
    assert [path.error for path in outcome.failed] == ["ConnectionError: reset"]
    assert outcome.degraded == ("sample failed: ConnectionError: reset",)
