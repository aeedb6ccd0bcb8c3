from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.engine import run
from adaptive_middleware.policy import optimal_stopping
from adaptive_middleware.ports import Ports
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.select import (
    calibrated_argmax,
    calibrated_vote,
    counted_vote,
    majority_vote,
    votes,
)
from adaptive_middleware.testing import ScriptedSampler, answer
from adaptive_middleware.types import Candidate, Choice, Estimate, Request, StepScores, Verdict


def candidate(
    text: str | None, p: float | None = None, *, passed: bool | None = None, verified: bool = False
) -> Candidate:
    estimate = None if p is None else Estimate(p, p, p)
    verdict = Verdict(passed) if verified or passed is not None else None
    return Candidate(answer(text or ""), estimate=estimate, answer=text, verdict=verdict)


CANDIDATES = st.lists(
    st.builds(candidate, st.sampled_from(["1", "2", "3", None]), st.none() | st.floats(0, 1)),
    min_size=1,
    max_size=12,
)


def test_argmax_takes_the_highest_calibrated_probability() -> None:
    chosen = calibrated_argmax([candidate("a", 0.2), candidate("b", 0.7), candidate("a", 0.6)])
    assert chosen == Choice(1, 0.7, "calibrated argmax", tied=False)


def test_vote_weighs_answers_by_calibrated_probability() -> None:
    chosen = calibrated_vote([candidate("a", 0.4), candidate("b", 0.7), candidate("a", 0.5)])
    assert chosen == Choice(2, 0.5, "calibrated-weighted vote", tied=False)


def test_majority_takes_the_first_of_the_most_frequent_answer() -> None:
    chosen = majority_vote([candidate("b"), candidate("a"), candidate("a")])
    assert chosen == Choice(1, None, "majority vote", tied=False)


def test_equal_scores_of_different_answers_are_a_visible_tie() -> None:
    assert calibrated_argmax([candidate("a", 0.5), candidate("b", 0.5)]).tied
    assert calibrated_vote([candidate("a", 0.5), candidate("b", 0.5)]).tied
    assert majority_vote([candidate("a"), candidate("b")]).tied


def test_equal_scores_of_the_same_answer_are_no_tie() -> None:
    assert not calibrated_argmax([candidate("a", 0.5), candidate("a", 0.5)]).tied


def test_a_verified_answer_beats_every_score() -> None:
    pool = [candidate("a", 0.99), candidate("b", 0.01, passed=True)]
    for select in (calibrated_argmax, calibrated_vote, majority_vote):
        assert select(pool) == Choice(1, 1.0, "verified")


def test_a_failed_or_unknown_verdict_verifies_nothing() -> None:
    pool = [candidate("a", 0.2, passed=False), candidate("b", 0.9, verified=True)]
    assert calibrated_argmax(pool) == Choice(1, 0.9, "calibrated argmax")


def test_when_every_candidate_failed_verification_none_is_right_whatever_it_scored() -> None:
    pool = [candidate("a", 0.2, passed=False), candidate("b", 0.9, passed=False)]
    for select in (calibrated_argmax, calibrated_vote, majority_vote):
        assert select(pool) == Choice(0, 0.0, "first of candidates that all failed verification")


def test_on_a_plateau_of_the_calibration_the_raw_score_decides() -> None:
    plateau = [
        Candidate(answer("a"), StepScores((0.9, raw)), Estimate(0.5, 0.4, 0.6), "a") for raw in (0.7, 0.8)
    ]
    assert calibrated_argmax(plateau) == Choice(1, 0.5, "calibrated argmax", tied=False)


def test_a_failed_candidate_never_beats_one_that_may_be_right() -> None:
    pool = [candidate("a", 0.9, passed=False), candidate("a", 0.8, passed=False), candidate("b", 0.1)]
    for select in (calibrated_argmax, calibrated_vote, majority_vote):
        assert select(pool).index == 2


def test_an_unscored_candidate_never_beats_a_scored_one_by_argmax() -> None:
    assert calibrated_argmax([candidate("a"), candidate("b", 0.0)]).index == 1


def test_an_unscored_candidate_votes_with_the_mean_weight() -> None:
    pool = [candidate("a", 0.5), candidate("b", 0.3), candidate("b")]
    assert calibrated_vote(pool) == Choice(2, 0.4, "calibrated-weighted vote")


def test_without_any_score_both_fall_back_to_the_majority() -> None:
    pool = [candidate("b"), candidate("a"), candidate("a")]
    assert calibrated_argmax(pool) == calibrated_vote(pool) == majority_vote(pool)


def test_candidates_without_an_answer_do_not_agree_with_each_other() -> None:
    assert majority_vote([candidate(None), candidate(None), candidate("a"), candidate("a")]).index == 2


def test_a_lone_candidate_is_chosen_as_such() -> None:
    assert majority_vote([candidate(None)]) == Choice(0, None, "only candidate")


@given(CANDIDATES)
def test_votes_are_the_counts_of_canonical_answers(pool: list[Candidate]) -> None:
    counts = Counter(c.answer for c in pool if c.answer is not None)
    assert votes(pool) == tuple(sorted(counts.values(), reverse=True))


@given(CANDIDATES)
def test_argmax_is_the_brute_force_maximum(pool: list[Candidate]) -> None:
    scored = [c.estimate.mean for c in pool if c.estimate is not None]
    chosen = calibrated_argmax(pool)
    assert chosen.probability == (max(scored) if scored else None)


@given(CANDIDATES)
def test_equal_weights_make_the_weighted_vote_a_majority(pool: list[Candidate]) -> None:
    flat = [candidate(c.answer, 0.5) for c in pool]
    assert calibrated_vote(flat).index == majority_vote(pool).index


@given(CANDIDATES)
def test_a_counted_vote_is_the_majority_vote_with_a_probability(candidates: list[Candidate]) -> None:
    plain = majority_vote(candidates)
    told = counted_vote(lambda counts: counts[0] / sum(counts))(candidates)
    assert (told.index, told.tied) == (plain.index, plain.tied)
    counts = Counter(one.answer for one in candidates if one.answer is not None)
    if candidates[plain.index].answer is None:
        assert told == plain
    else:
        assert told.probability == max(counts.values()) / sum(counts.values())


def test_a_verified_answer_needs_no_counting() -> None:
    chosen = counted_vote(lambda _: 0.3)([candidate("a"), candidate("b", passed=True)])
    assert chosen == Choice(1, 1.0, "verified")


def test_answers_that_failed_verification_have_no_vote() -> None:
    pool = [candidate("a", passed=False), candidate("a", passed=False), candidate("b", verified=True)]
    assert votes(pool) == (1,)


def test_optimal_stopping_stops_at_a_target_that_votes_reach() -> None:
    agreeing = counted_vote(lambda counts: counts[0] / (sum(counts) + 1))
    strategy = best_of_n(optimal_stopping(target=0.74), score=False, select=agreeing)
    outcome = run(strategy(Request("?")), Ports(ScriptedSampler(["4"])))
    assert len(outcome.considered) == 3
    assert outcome.choice == Choice(0, 0.75, "majority vote, calibrated")
