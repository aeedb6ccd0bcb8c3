"""Shadow: one answer is judged as the strategy would, nothing is drawn, and what would have been drawn is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from adaptive_middleware import Request, agreement, best_of_n, fixed, optimal_stopping
from adaptive_middleware.effects import Effect, Score, Strategy, Verify
from adaptive_middleware.engine import run
from adaptive_middleware.errors import SamplerError, ScorerError
from adaptive_middleware.ports import Ports
from adaptive_middleware.strategies.beam import beam
from adaptive_middleware.strategies.effort import Rung, effort
from adaptive_middleware.strategies.first_good import first_good
from adaptive_middleware.strategies.guards import transcript
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.strategies.shadow import as_it_comes, shadowed
from adaptive_middleware.testing import ScriptedSampler, TableScorer, answer
from adaptive_middleware.types import Outcome, Path, State, StepScores, Verdict

REQUEST = Request("What is 2 + 2?")
PLAIN = answer("It is 4.")


class Refusing:
    """A sampler that must not be asked."""

    def sample(self, request: Request, n: int) -> Sequence[Path]:
        raise AssertionError("a draw in shadow")


def decided(
    strategy: Strategy, score: float | None = 0.5, tokens: int | None = None, path: Path = PLAIN
) -> Outcome:
    scorer = None if score is None else TableScorer(score)
    return run(shadowed(strategy, tokens)(REQUEST, path), Ports(Refusing(), scorer))


def then(*more: int) -> best_of_n:
    """A strategy that asks for these numbers of samples, one after the other, whatever comes."""
    left = iter(more)
    return best_of_n(lambda state: next(left), max_samples=10)


@pytest.mark.parametrize(
    ("asked", "least", "exact"),
    [
        ((1, 0), 1, 1.0),
        ((1, 1), 2, 0.0),
        ((1, 4), 5, 0.0),
        ((1, 9), 10, 1.0),
        ((3, 0), 3, 0.0),
        ((3, 1), 3, 0.0),
        ((3, 5), 6, 0.0),
        ((10, 0), 10, 1.0),
    ],
)
def test_what_would_have_been_drawn_is_told_as_far_as_one_answer_tells(
    asked: tuple[int, int], least: int, exact: float
) -> None:
    outcome = decided(then(*asked))
    assert outcome.shadow == least
    said = outcome.decisions[-1]
    assert (said.more, dict(said.numbers)) == (0, {"first": asked[0], "then": asked[1], "exact": exact})
    assert ("at least" in said.because) == (exact == 0.0)
    assert f"{least} sample{'s' * (least > 1)} would have been drawn" in said.because


def test_the_decision_is_that_of_the_strategy_after_the_same_answer() -> None:
    strategy = best_of_n(optimal_stopping(target=0.9), max_samples=8)
    sampler = ScriptedSampler([PLAIN.text])
    truth = run(strategy(REQUEST), Ports(sampler, TableScorer(0.5)))
    outcome = decided(strategy)
    assert outcome.decisions[:2] == truth.decisions[:2]
    assert outcome.considered[0].estimate == truth.considered[0].estimate
    assert outcome.question == truth.question
    assert (outcome.chosen, len(outcome.considered), outcome.limit) == (PLAIN, 1, 8)
    assert outcome.strategy.startswith("shadow of best-of-n")
    assert outcome.degraded == ()
    assert (outcome.shadow or 0) <= sum(sampler.calls)


def test_a_sure_answer_is_all_that_would_have_been_drawn() -> None:
    outcome = decided(best_of_n(optimal_stopping(target=0.9), max_samples=8), score=0.99)
    assert (outcome.shadow, outcome.decisions[-1].numbers["exact"]) == (1, 1.0)


def test_without_scores_policies_of_votes_ask_for_more() -> None:
    outcome = decided(best_of_n(agreement(window=3), max_samples=8, score=False), score=None)
    assert (outcome.shadow or 0) > 1


@pytest.mark.parametrize(
    ("strategy", "cause"),
    [
        (prune(fixed(4), max_samples=4), "NotStreaming: in shadow answers are judged whole"),
        (first_good(best_of_n(fixed(4), max_samples=4)), "NotStreaming: in shadow answers are judged whole"),
        (beam(samples=4, fanout=2), "NotContinuing: in shadow no answer is continued"),
    ],
)
def test_strategies_of_steps_are_judged_by_whole_answers_and_say_so(strategy: Strategy, cause: str) -> None:
    outcome = decided(strategy)
    assert (outcome.shadow, outcome.chosen) == (4, PLAIN)
    assert cause in outcome.degraded


def test_effort_is_told_by_the_rung_that_it_would_have_picked() -> None:
    outcome = decided(effort((Rung("low", 0.4), Rung("high"))))
    assert (outcome.shadow, outcome.rung, outcome.decisions[-1].numbers["exact"]) == (1, "low", 1.0)


def test_a_limit_of_tokens_shrinks_what_would_have_been_drawn() -> None:
    path = answer("4", tokens=100)
    assert decided(then(4, 3), path=path).shadow == 4
    assert decided(then(4, 3), tokens=50, path=path).shadow == 1


class Failing:
    """A scorer that is down."""

    def score(self, request: Request, paths: Sequence[Path]) -> list[StepScores]:
        raise ScorerError("down")


def test_a_scorer_that_is_down_leaves_a_decision_by_votes() -> None:
    outcome = run(shadowed(best_of_n(fixed(3)))(REQUEST, PLAIN), Ports(Refusing(), Failing()))
    assert (outcome.shadow, outcome.chosen) == (3, PLAIN)
    assert "scores rejected: ScorerError: down" in outcome.degraded


def broken(state: State) -> int:
    message = "a policy of one's own"
    raise ValueError(message)


def test_a_strategy_that_fails_is_told_and_harms_nothing() -> None:
    outcome = decided(best_of_n(broken))
    assert outcome.chosen == PLAIN
    assert outcome.degraded == ("ValueError: a policy of one's own",)


def test_an_answer_that_cannot_be_judged_is_still_the_answer() -> None:
    failed = Path(error="cut")
    outcome = decided(best_of_n(fixed(2)), path=failed)
    assert outcome.chosen == failed
    assert outcome.shadow == 3  # it failed, and the other two would have been drawn again
    assert outcome.degraded == ("the answer cannot be judged: cut",)


def test_a_shadow_yields_scores_and_verdicts_only() -> None:
    seen: list[Effect[Any]] = []
    ports = Ports(Refusing(), TableScorer(0.5), Passing())
    run(transcript(shadowed(best_of_n(fixed(3), verify=True))(REQUEST, PLAIN), seen), ports)
    assert {type(effect) for effect in seen} == {Score, Verify}


class Passing:
    """A verifier that passes everything."""

    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        return [Verdict(True)] * len(paths)


def test_a_plain_call_that_cannot_be_opened_is_drawn_whole() -> None:
    outcome = run(as_it_comes(REQUEST), Ports(ScriptedSampler(["4"])))
    assert outcome.chosen.text == "4"


class Empty:
    """A streamer that opens nothing."""

    def begin(self, request: Request, n: int) -> Sequence[Path]:
        return []

    advance = follow = drop = None


def test_a_streamer_that_opens_nothing_is_an_error() -> None:
    with pytest.raises(SamplerError, match="opened no answer"):
        run(as_it_comes(REQUEST), Ports(Refusing(), streamer=Empty()))  # type: ignore[arg-type]
