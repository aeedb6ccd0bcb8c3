"""The difficulty of a call picks the rung, and answers that are not good enough get a second try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.engine import run
from adaptive_middleware.errors import BudgetError, DeadlineExceeded, SamplerError
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.ports import Ports
from adaptive_middleware.strategies.effort import Rung, effort
from adaptive_middleware.strategies.guards import fail_open, within
from adaptive_middleware.testing import TableScorer, answer
from adaptive_middleware.types import Estimate, Outcome, Path, Request, StepScores, Usage, Verdict

REQUEST = Request("What is 2 + 2?", parameters={"temperature": 1.0, "reasoning_effort": "none"}, model="m1")
RUNGS = (
    Rung("low", 0.8, {"reasoning_effort": "low", "max_tokens": 9}),
    Rung("middle", 0.3, {"reasoning_effort": "medium"}),
    Rung("high", parameters={"thinking": {"budget_tokens": 4096}}, model="m2"),
)


class Thinker:
    """Answers with the effort it was asked for; a token is spent for each rung's number."""

    def __init__(self, lost: int = 0) -> None:
        self.asked: list[Request] = []
        self.lost = lost

    def sample(self, request: Request, n: int) -> list[Path]:
        self.asked.append(request)
        name = {"low": "low", "medium": "middle"}.get(str(request.parameters["reasoning_effort"]), "high")
        if len(self.asked) <= self.lost:
            return [Path(error="lost", usage=Usage(completion_tokens=1, requests=1))]
        return [answer(name, tokens=10)] * n


def scored(question: float, **answers: float) -> TableScorer:
    return TableScorer(lambda path: [answers.get(path.text, 0.5)] if path.steps else [question])


def called(strategy: effort, question: float, thinker: Thinker | None = None, **answers: float) -> Outcome:
    return run(strategy(REQUEST), Ports(thinker or Thinker(), scored(question, **answers)))


@pytest.mark.parametrize(
    ("p", "rung"),
    [(0.9, "low"), (0.8, "low"), (0.5, "middle"), (0.3, "middle"), (0.1, "high"), (0.0, "high")],
)
def test_the_question_picks_the_first_rung_that_it_reaches(p: float, rung: str) -> None:
    outcome = called(effort(RUNGS), p)
    assert (outcome.rung, outcome.chosen.text) == (rung, rung)
    assert len(outcome.considered) == outcome.limit == 1
    assert outcome.decisions[0].because == f"the question: mean {p:.3f} picks rung {rung!r}"


def test_the_rungs_parameters_replace_the_calls_and_leave_the_others() -> None:
    easy, hard = Thinker(), Thinker()
    called(effort(RUNGS), 0.9, easy)
    called(effort(RUNGS), 0.1, hard)
    assert easy.asked == [
        replace(REQUEST, parameters={"temperature": 1.0, "reasoning_effort": "low", "max_tokens": 9})
    ]
    assert hard.asked == [
        replace(
            REQUEST,
            parameters={
                "temperature": 1.0,
                "reasoning_effort": "none",
                "thinking": {"budget_tokens": 4096},
                "model": "m2",
            },
            model="m2",
        )
    ]
    assert REQUEST.parameters == {"temperature": 1.0, "reasoning_effort": "none"}


def test_the_lower_quantile_decides_where_that_is_wanted() -> None:
    def wide(path: Path, scores: StepScores) -> Estimate:
        return Estimate(0.9, 0.2, 0.99)

    assert called(effort(RUNGS, calibrate=wide), 0.5).rung == "low"
    assert called(effort(RUNGS, by="lower", calibrate=wide), 0.5).rung == "high"


def test_an_answer_that_is_not_good_enough_is_followed_by_one_of_the_next_rung() -> None:
    strategy = effort(RUNGS, target=0.7, attempts=3)
    outcome = called(strategy, 0.9, low=0.2, middle=0.6, high=0.75)
    assert [one.path.text for one in outcome.considered] == ["low", "middle", "high"]
    assert (outcome.rung, outcome.usage.completion_tokens, outcome.limit) == ("high", 30, 3)
    assert [one.because for one in outcome.decisions[1:]] == [
        "the best answer: p 0.200 < 0.7; rung 'middle' is next",
        "the best answer: p 0.600 < 0.7; rung 'high' is next",
        "the best answer: p 0.750 >= 0.7",
    ]
    enough = called(strategy, 0.9, low=0.2, middle=0.7)
    assert (enough.rung, len(enough.considered)) == ("middle", 2)


def test_the_best_answer_is_returned_even_if_a_later_rung_did_worse() -> None:
    outcome = called(effort(RUNGS, target=0.9, attempts=3), 0.9, low=0.4, middle=0.6, high=0.1)
    assert (outcome.rung, outcome.chosen.text, len(outcome.considered)) == ("middle", "middle", 3)


@given(st.integers(1, 5), st.floats(0, 1), st.floats(0.01, 0.99), st.sampled_from(["question", "answer"]))
def test_attempts_are_bounded_by_their_number_and_by_the_ladder(
    attempts: int, p: float, target: float, judge: str
) -> None:
    thinker = Thinker()
    strategy = effort(RUNGS, judge, target=target, attempts=attempts)  # type: ignore[arg-type]
    outcome = called(strategy, p, thinker, low=p, middle=p, high=p)
    assert len(thinker.asked) <= min(max(attempts, 1 + (judge == "answer")), len(RUNGS))
    assert outcome.usage.requests == len(thinker.asked) <= outcome.limit


@pytest.mark.parametrize(("p", "texts"), [(0.9, ["low"]), (0.5, ["low", "middle"]), (0.1, ["low", "high"])])
def test_a_first_answer_can_tell_the_difficulty_and_stays_a_candidate(p: float, texts: list[str]) -> None:
    outcome = called(effort(RUNGS, "answer"), 0.0, low=p, middle=0.95, high=0.95)
    assert [one.path.text for one in outcome.considered] == texts
    assert (outcome.rung, outcome.question, outcome.limit) == (texts[-1], None, 2)
    assert outcome.decisions[0].because.startswith(f"the first answer: mean {p:.3f} picks rung")


def test_a_first_answer_that_beats_that_of_the_harder_rung_is_returned() -> None:
    assert called(effort(RUNGS, "answer"), 0.0, low=0.25, high=0.1).rung == "low"


class OnlyHigh:
    """Passes the answer of the highest rung."""

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        return [Verdict(path.text == "high") for path in paths]


def test_a_failed_check_calls_for_the_next_rung_and_a_passed_one_ends_the_call() -> None:
    strategy = effort(RUNGS, target=0.5, attempts=9, verify=True)
    outcome = run(strategy(REQUEST), Ports(Thinker(), scored(0.9, low=0.99, middle=0.99), OnlyHigh()))
    assert [one.path.text for one in outcome.considered] == ["low", "middle", "high"]
    assert outcome.choice is not None
    assert (outcome.choice.how, outcome.rung) == ("verified", "high")


@pytest.mark.parametrize(("judge", "what"), [("question", "the question"), ("answer", "the first answer")])
def test_without_scores_the_default_rung_is_used_and_said(judge: str, what: str) -> None:
    strategy = effort(RUNGS, judge, default=1)  # type: ignore[arg-type]
    outcome = Middleware(strategy).run(REQUEST, Thinker())
    assert f"no estimate of {what}: rung 'middle' is used" in outcome.degraded
    assert [one.path.text for one in outcome.considered][-1] == "middle"


def test_a_lost_answer_is_followed_by_the_next_rung_only_where_more_may_be_tried() -> None:
    outcome = called(effort(RUNGS, target=0.5), 0.9, Thinker(lost=1), middle=0.9)
    assert (outcome.rung, outcome.chosen.text, len(outcome.failed)) == ("middle", "middle", 1)
    assert outcome.usage.completion_tokens == 1 + 10
    with pytest.raises(SamplerError, match="lost"):
        called(effort(RUNGS), 0.9, Thinker(lost=1))


def test_at_a_limit_the_best_answer_so_far_is_returned() -> None:
    strategy = effort(RUNGS, target=0.9, attempts=3)
    flow = within(strategy(REQUEST), tokens=19)
    outcome = run(flow, Ports(Thinker(), scored(0.9, low=0.4)))
    assert (outcome.rung, len(outcome.considered)) == ("low", 1)
    assert outcome.degraded[0].startswith("TokensExceeded")
    with pytest.raises(BudgetError):
        run(within(strategy(REQUEST), deadline=1.0, clock=lambda: 2.0), Ports(Thinker(), scored(0.9)))


def test_an_answer_whose_check_came_too_late_is_returned_unchecked() -> None:
    class Late:
        def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
            message = "no time left"
            raise DeadlineExceeded(message)

    outcome = run(effort(RUNGS, verify=True)(REQUEST), Ports(Thinker(), scored(0.9), Late()))
    assert outcome.chosen.text == "low"
    assert outcome.degraded == ("the answer was not judged: DeadlineExceeded: no time left",)


def test_the_limit_of_tokens_of_a_rung_is_what_the_budget_reckons_with() -> None:
    rungs = (Rung("only", parameters={"max_tokens": 50}),)
    flow = within(effort(rungs)(REQUEST), tokens=40)
    with pytest.raises(BudgetError, match="one more sample may cost 50"):
        run(flow, Ports(Thinker(), scored(0.9)))


def broken_calibration(path: Path, scores: StepScores) -> Estimate:
    message = "bug"
    raise ValueError(message)


def test_a_bug_of_ones_own_ends_in_a_plain_call() -> None:
    strategy = effort(RUNGS, calibrate=broken_calibration)
    thinker = Thinker()
    outcome = run(fail_open(strategy(REQUEST), REQUEST), Ports(thinker, scored(0.9)))
    assert outcome.degraded == ("ValueError: bug",)
    assert thinker.asked == [REQUEST]
