from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.engine import run
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.policy import agreement, fixed, instance_adaptive, optimal_stopping
from adaptive_middleware.ports import Ports
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.pass_through import pass_through
from adaptive_middleware.strategies.select import majority_vote
from adaptive_middleware.testing import ScriptedSampler, TableScorer, answer
from adaptive_middleware.types import Decision, Estimate, Path, Request, StepScores, ToolCall, Verdict

REQUEST = Request("What is 2 + 2?")


def right_is_four(path: Path) -> list[float]:
    value = 0.5 if not path.steps else 0.96 if path.text == "4" else 0.1
    return [value] * max(len(path.steps), 1)


def test_an_easy_call_stops_at_the_first_good_answer() -> None:
    sampler = ScriptedSampler(["4", "5"])
    outcome = run(best_of_n(optimal_stopping())(REQUEST), Ports(sampler, TableScorer(right_is_four)))
    assert sampler.calls == [1]
    assert outcome.chosen.text == "4"
    assert outcome.choice is not None
    assert outcome.choice.probability == 0.96


def test_a_hard_call_goes_on_until_a_good_answer_comes() -> None:
    sampler = ScriptedSampler(["5", "6", "7", "4"])
    outcome = run(best_of_n(optimal_stopping())(REQUEST), Ports(sampler, TableScorer(right_is_four)))
    assert sampler.calls == [1, 1, 1, 1]
    assert outcome.chosen.text == "4"


def test_a_hopeless_call_is_given_up_before_the_limit() -> None:
    sampler = ScriptedSampler(["5"])
    scorer = TableScorer(0.001)
    outcome = run(best_of_n(optimal_stopping(give_up=0.05), max_samples=64)(REQUEST), Ports(sampler, scorer))
    assert len(sampler.calls) < 5
    assert "more will not help" in outcome.decisions[-1].because


def test_the_paper_rule_draws_n_at_once_from_the_question_alone() -> None:
    sampler = ScriptedSampler(["4"])
    run(best_of_n(instance_adaptive())(REQUEST), Ports(sampler, TableScorer(0.5)))
    assert sampler.calls == [7]


def test_agreement_needs_no_scorer() -> None:
    sampler = ScriptedSampler(["4"])
    outcome = run(best_of_n(agreement(), score=False)(REQUEST), Ports(sampler))
    assert sampler.calls == [1, 1, 1, 1]
    assert outcome.choice is not None
    assert outcome.choice.how == "majority vote"
    assert outcome.usage.prm_tokens == 0


def test_paths_are_scored_in_one_call_per_draw() -> None:
    scorer = TableScorer(0.5)
    run(best_of_n(fixed(3))(REQUEST), Ports(ScriptedSampler(["4", "5"]), scorer))
    assert [len(batch) for batch in scorer.seen] == [1, 3]


def test_a_single_sample_limit_spends_nothing_on_the_question() -> None:
    scorer = TableScorer(0.5)
    run(best_of_n(fixed(1), max_samples=1)(REQUEST), Ports(ScriptedSampler(["4"]), scorer))
    assert [batch[0].text for batch in scorer.seen] == ["4"]


@given(asked=st.integers(1, 100), limit=st.integers(1, 20))
def test_no_policy_gets_more_than_the_limit(asked: int, limit: int) -> None:
    sampler = ScriptedSampler(["4"])
    run(best_of_n(lambda _: asked, limit, score=False)(REQUEST), Ports(sampler))
    assert sum(sampler.calls) == limit


def test_a_failed_sample_is_no_candidate_but_is_paid_and_reported() -> None:
    broken = answer("Error: 503", tokens=7, error="HTTPError: 503")
    outcome = run(
        best_of_n(fixed(2), select=majority_vote, score=False)(REQUEST),
        Ports(ScriptedSampler([broken, "4", "4"])),
    )
    assert outcome.chosen.text == "4"
    assert outcome.failed == (broken,)
    assert outcome.usage.completion_tokens == 7 + 1 + 1
    assert outcome.degraded == ("sample failed: HTTPError: 503",)


def test_failures_count_towards_the_limit() -> None:
    broken = answer("", error="HTTPError: 503")
    sampler = ScriptedSampler([broken])
    with pytest.raises(SamplerError, match="no usable answer in 4 requested samples: HTTPError: 503"):
        run(best_of_n(fixed(3), max_samples=4, score=False)(REQUEST), Ports(sampler))
    assert sum(sampler.calls) == 4


class Silent:
    def sample(self, request: Request, n: int) -> list[Path]:
        return []


@pytest.mark.parametrize("strategy", [pass_through, best_of_n(fixed(3), score=False)])
def test_a_sampler_that_returns_nothing_is_a_typed_error(strategy: best_of_n) -> None:
    with pytest.raises(SamplerError, match="no answer"):
        run(strategy(REQUEST), Ports(Silent()))


def test_an_empty_answer_is_not_scored_and_is_reported() -> None:
    scorer = TableScorer(0.5)
    outcome = run(best_of_n(fixed(2))(REQUEST), Ports(ScriptedSampler(["", "4"]), scorer))
    assert [path.text for path in scorer.seen[1]] == ["4"]
    assert outcome.chosen.text == "4"
    assert "empty answer" in outcome.degraded


def test_only_empty_answers_still_return_one() -> None:
    outcome = run(best_of_n(fixed(2))(REQUEST), Ports(ScriptedSampler([""]), TableScorer(0.5)))
    assert outcome.chosen.text == ""


def test_a_tool_call_without_text_is_a_full_candidate() -> None:
    call = Path(tool_calls=(ToolCall("search", {"q": "x"}),))
    outcome = run(best_of_n(fixed(2))(REQUEST), Ports(ScriptedSampler([call]), TableScorer(0.5)))
    assert outcome.chosen == call
    assert outcome.degraded == ()


def test_tool_calls_are_scored_and_the_better_call_is_chosen() -> None:
    wrong, right = (Path(tool_calls=(ToolCall("search", {"q": q}),)) for q in ("x", "y"))
    scorer = TableScorer(lambda path: [0.9 if '"y"' in path.text else 0.2] * max(len(path.steps), 1))
    outcome = run(best_of_n(fixed(2))(REQUEST), Ports(ScriptedSampler([wrong, right]), scorer))
    assert outcome.chosen is right
    assert [path.text for path in scorer.seen[1]] == ['search({"q": "x"})', 'search({"q": "y"})']
    assert outcome.choice is not None
    assert outcome.choice.probability == 0.9


def nan_for_five(path: Path) -> Sequence[float]:
    return [float("nan")] if path.text == "5" else [0.3]


def test_rejected_scores_are_never_compared_and_are_reported() -> None:
    sampler = ScriptedSampler(["5", "4"])
    outcome = run(best_of_n(fixed(2))(REQUEST), Ports(sampler, TableScorer(nan_for_five)))
    assert outcome.chosen.text == "4"
    assert outcome.degraded == ("scores rejected: score nan is not in [0, 1]",)


def test_the_calibrator_sees_the_path_and_its_raw_scores() -> None:
    def by_steps(path: Path, scores: StepScores) -> Estimate:
        p = len(path.steps) / 10
        return Estimate(p, p / 2, p)

    strategy = best_of_n(fixed(2), calibrate=by_steps)
    outcome = run(strategy(REQUEST), Ports(ScriptedSampler(["a", "a\nb"]), TableScorer(0.9)))
    assert outcome.chosen.text == "a\nb"
    assert outcome.considered[1].estimate == Estimate(0.2, 0.1, 0.2)
    assert outcome.question == Estimate(0.0, 0.0, 0.0)
    assert outcome.calibrated


class KnowsFour:
    def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
        return [Verdict(path.text == "4") for path in paths]


def test_a_verified_answer_ends_the_call_and_is_certain() -> None:
    sampler = ScriptedSampler(["5", "4", "6"])
    strategy = best_of_n(optimal_stopping(), score=False, verify=True)
    outcome = run(strategy(REQUEST), Ports(sampler, verifier=KnowsFour()))
    assert sampler.calls == [1, 1]
    assert outcome.choice is not None
    assert (outcome.chosen.text, outcome.choice.probability) == ("4", 1.0)


def test_failed_verdicts_lower_the_belief_until_the_call_is_given_up() -> None:
    class Never:
        def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
            return [Verdict(False)] * len(paths)

    chances: list[float] = []

    def watch(state: object) -> Decision:
        decision = optimal_stopping(give_up=0.15)(state)  # type: ignore[arg-type]
        chances.append(decision.numbers["next"])
        return decision

    strategy = best_of_n(watch, max_samples=64, verify=True)
    run(strategy(REQUEST), Ports(ScriptedSampler(["5"]), TableScorer(0.5), Never()))
    assert chances == sorted(chances, reverse=True)
    assert len(chances) < 64


def test_a_number_is_a_decision() -> None:
    outcome = run(best_of_n(lambda s: 1 - s.drawn, score=False)(REQUEST), Ports(ScriptedSampler(["4"])))
    assert outcome.decisions[0] == Decision(1, "the policy asked for 1 more")


def test_an_answer_cut_off_at_its_length_still_votes_and_is_verified() -> None:
    class Seen:
        def verify(self, request: Request, paths: Sequence[Path]) -> list[Verdict]:
            return [Verdict(path.text == "4") for path in paths]

    cut = Path(("4",), done=False, finish_reason="length")
    ports = Ports(ScriptedSampler([cut]), TableScorer(0.5), Seen())
    outcome = run(best_of_n(fixed(1), verify=True)(REQUEST), ports)
    assert outcome.considered[0].answer == "4"
    assert outcome.considered[0].verdict == Verdict(passed=True)


def test_a_decision_that_the_limit_cuts_off_says_so() -> None:
    outcome = run(
        best_of_n(lambda state: 1, max_samples=2, score=False)(REQUEST), Ports(ScriptedSampler(["4"]))
    )
    assert [decision.more for decision in outcome.decisions] == [1, 1, 0]
    assert outcome.decisions[-1].because == "all 2 samples are drawn; the policy asked for 1 more"
