import random
from math import comb, fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainc

from adaptive_middleware.calibration.raw import uncalibrated
from adaptive_middleware.errors import SamplerError
from adaptive_middleware.policy import agreement, fixed, instance_adaptive
from adaptive_middleware.recording import Problem, RecordedSample
from adaptive_middleware.replay import (
    ENDED,
    RecordedSampler,
    RecordedScorer,
    RecordedVerifier,
    Take,
    as_written,
    canonical,
    once,
    recorded_answer,
    replay,
    take,
    tape,
)
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.strategies.pass_through import pass_through
from adaptive_middleware.strategies.prune import prune
from adaptive_middleware.strategies.select import majority_vote
from adaptive_middleware.testing import answer
from adaptive_middleware.types import Candidate, Estimate, Path, Request, State, StepScores


def sample(text: str = "so 5", *, correct: bool = True, tokens: int = 3, **fields: object) -> RecordedSample:
    return RecordedSample(text, correct=correct, tokens=tokens, **fields)  # type: ignore[arg-type]


def problem(*samples: RecordedSample, **fields: object) -> Problem:
    return Problem("p", "why", samples, **fields)  # type: ignore[arg-type]


def voting(policy: agreement | fixed, n: int = 64) -> best_of_n:
    return best_of_n(policy, max_samples=n, select=majority_vote, answer=recorded_answer, score=False)


def test_best_of_n_chooses_the_best_scored_sample_and_counts_what_it_read() -> None:
    recorded = problem(
        sample("a\nb", scores=(0.9, 0.2), tokens=10),
        sample("c\nd", scores=(0.1, 0.7), tokens=20, correct=False),
        question_score=0.4,
        question_tokens=5,
    )
    outcome = replay(tape(recorded), best_of_n(fixed(2), answer=recorded_answer))
    assert outcome.chosen.text == "c\nd"
    assert not take(outcome.chosen).correct
    assert outcome.question == Estimate(0.4, 0.4, 0.4)
    assert outcome.usage.completion_tokens == 30
    assert outcome.usage.prm_tokens == 5 + (5 + 10) + (5 + 20)
    assert outcome.degraded == ()


def test_without_the_questions_length_only_the_answers_tokens_count_as_scored() -> None:
    outcome = replay(tape(problem(sample(prm_score=0.5, tokens=9))), best_of_n(fixed(1), max_samples=1))
    assert outcome.usage.prm_tokens == 9


def test_samples_come_in_the_given_order_each_once() -> None:
    reel = tape(problem(*(sample(str(i)) for i in range(4))))
    outcome = replay(reel, voting(fixed(3)), order=[2, 0, 3, 1])
    assert [candidate.path.text for candidate in outcome.considered] == ["2", "0", "3"]


def test_a_strategy_that_asks_beyond_the_recording_gets_what_is_left_and_it_is_said() -> None:
    reel = tape(problem(sample("1"), sample("2")))
    outcome = replay(reel, voting(fixed(5)))
    assert len(outcome.considered) == 2
    assert outcome.degraded[-1].startswith(f"{ENDED} after 2 samples;")


def test_a_recording_that_holds_exactly_enough_has_not_ended() -> None:
    assert replay(tape(problem(sample("1"), sample("2"))), voting(fixed(2))).degraded == ()


def test_an_empty_order_is_a_sampler_that_has_nothing() -> None:
    with pytest.raises(SamplerError, match="no usable answer"):
        replay(tape(problem(sample())), voting(fixed(1)), order=[])


def test_every_strategy_can_be_replayed() -> None:
    assert replay(tape(problem(sample("x"))), pass_through).chosen.text == "x"


@given(st.lists(st.integers(1, 4), max_size=6), st.integers(0, 8))
def test_the_sampler_never_gives_a_sample_twice_and_counts_what_it_refused(
    asks: list[int], size: int
) -> None:
    reel = tape(problem(*(sample(str(i)) for i in range(8))))
    order = random.Random(size).sample(range(8), size)
    sampler = RecordedSampler(reel, order)
    given_ = [path.text for n in asks for path in sampler.sample(reel.request, n)]
    assert given_ == [str(i) for i in order][: sum(asks)]
    assert sampler.drawn + sampler.refused == sum(asks)


def test_whole_answer_scores_make_the_answer_one_step() -> None:
    (path,) = tape(problem(sample("a\nb", prm_score=0.25))).paths
    assert path.steps == ("a\nb",)
    assert take(path).scores == StepScores((0.25,), tokens=3)


def test_step_scores_win_over_a_whole_answer_score_and_keep_the_last_steps_when_cut() -> None:
    (path,) = tape(problem(sample("a\nb\nc", scores=(0.5, 0.75), prm_score=0.1))).paths
    assert path.steps == ("a\n", "b\n", "c")
    assert take(path).scores == StepScores((0.5, 0.75), first=1, tokens=3)


def test_log_probabilities_reach_the_calibrator() -> None:
    (path,) = tape(problem(sample(logprobs=(-3.0, -1.0)))).paths
    assert path.logprobs == (-3.0, -1.0)


@pytest.mark.parametrize("scored", [True, False])
def test_a_tape_knows_whether_anything_is_scored(scored: bool) -> None:
    assert tape(problem(sample(), sample(prm_score=0.5 if scored else None))).scored is scored


def test_samples_and_questions_without_scores_are_rejected_and_said_so() -> None:
    reel = tape(problem(sample("x")))
    scores = RecordedScorer(reel).score(reel.request, [Path(done=False), *reel.paths])
    assert [one.rejected for one in scores] == ["the recording has no question_score", "not recorded"]
    outcome = replay(reel, best_of_n(instance_adaptive(cap=1), answer=recorded_answer))
    assert "scores rejected: not recorded" in outcome.degraded


def test_answers_agree_as_written_or_by_meaning() -> None:
    samples = (
        sample(r"\boxed{\frac12}"),
        sample(r"\boxed{0.5}"),
        sample("?", answer="1/2"),
        sample("?", answer='{"a": 1}'),
    )
    assert [as_written(one) for one in samples] == [r"\frac12", "0.5", "1/2", '{"a": 1}']
    assert [canonical(one) for one in samples] == ["1/2", "1/2", "1/2", '{"a": 1}']


def test_a_path_from_elsewhere_is_no_recorded_path() -> None:
    with pytest.raises(TypeError, match="not from a recording: raw is str"):
        recorded_answer(answer("5"))


def test_estimates_are_computed_once_per_sample_and_anew_for_the_question() -> None:
    seen: list[float] = []

    def calibrate(path: Path, scores: StepScores) -> Estimate:
        seen.append(scores.values[0])
        return uncalibrated(path, scores)

    reel = tape(problem(sample(prm_score=0.25), sample(), question_score=0.75))
    strategy = best_of_n(fixed(2), calibrate=once(calibrate, reel), answer=recorded_answer)
    first, second = replay(reel, strategy), replay(reel, strategy)
    assert first == second
    assert seen == [0.25, 0.75, 0.75]


def test_the_verifier_knows_what_was_right() -> None:
    reel = tape(problem(sample(), sample(correct=False)))
    verdicts = RecordedVerifier().verify(Request("why"), reel.paths)
    assert [verdict.passed for verdict in verdicts] == [True, False]


def test_a_pool_of_counts_has_as_many_right_and_wrong_paths_as_it_says() -> None:
    reel = tape(Problem("p", n=5, n_correct=2))
    assert [take(path) for path in reel.paths] == [Take(correct=True)] * 2 + [Take(correct=False)] * 3
    assert not reel.scored


@pytest.mark.parametrize(("n", "c", "drawn"), [(10, 1, 4), (10, 3, 4), (12, 6, 2), (8, 0, 3), (8, 8, 1)])
def test_a_verified_pool_is_solved_as_often_as_drawing_without_replacement_says(
    n: int, c: int, drawn: int
) -> None:
    reel = tape(Problem("p", n=n, n_correct=c))
    strategy = best_of_n(fixed(drawn), score=False, verify=True, answer=recorded_answer)
    rng = random.Random(n * c + drawn)
    rounds = 1000
    solved = fsum(take(replay(reel, strategy, rng.sample(range(n), n)).chosen).correct for _ in range(rounds))
    expected = 1 - comb(n - c, drawn) / comb(n, drawn)
    spread = (expected * (1 - expected) / rounds) ** 0.5
    assert abs(solved / rounds - expected) <= 4.5 * spread


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=24), st.sampled_from([0.7, 0.9, 0.95]))
def test_agreement_stops_where_the_beta_rule_says_on_any_sequence_of_votes(
    letters: list[str], confidence: float
) -> None:
    reel = tape(problem(*(sample("?", answer=letter) for letter in letters)))
    outcome = replay(reel, voting(agreement(confidence), n=len(letters)))
    assert len(outcome.considered) == stop_by_beta(letters, confidence)


def stop_by_beta(letters: list[str], confidence: float) -> int:
    """1 - I_{1/2}(v1 + 1, v2 + 1) is P(p1 > p2) under a uniform prior (Adaptive-Consistency, eq. 3)."""
    for drawn in range(1, len(letters) + 1):
        counts = sorted((letters[:drawn].count(letter) for letter in set("abc")), reverse=True)
        if 1 - betainc(counts[0] + 1, counts[1] + 1, 0.5) >= confidence - 1e-12:
            return drawn
    return len(letters)


LONG = sample(
    "one\ntwo\nthree",
    tokens=10,
    scores=(0.9, 0.3, 0.2),
    step_tokens=(2, 3, 5),
    step_logprobs=((-1.0, -0.5), (-3.0, -2.0), (-0.1, -0.1)),
)


def test_open_answers_show_text_scores_tokens_and_logprobs_of_the_steps_read() -> None:
    (cuts,) = tape(problem(LONG, question_tokens=4)).prefixes
    assert [path.text for path in cuts] == ["", "one\n", "one\ntwo\n"]
    assert [path.usage.completion_tokens for path in cuts] == [0, 2, 5]
    assert [take(path).scores.values for path in cuts] == [(), (0.9,), (0.9, 0.3)]
    assert [take(path).scores.tokens for path in cuts[1:]] == [2 + 4, 5 + 4]
    assert [path.logprobs for path in cuts] == [None, (-1.0, -0.5), (-3.0, (2 * -0.5 + 3 * -2.0) / 5)]
    assert not any(path.done for path in cuts)


def test_without_recorded_step_tokens_they_are_shared_out_by_characters() -> None:
    (cuts,) = tape(problem(sample("aaa\nbbbbbb", tokens=20))).prefixes
    assert [path.usage.completion_tokens for path in cuts] == [0, 8]


def test_scores_that_begin_late_leave_early_prefixes_unscored() -> None:
    (cuts,) = tape(problem(sample("a\nb\nc", scores=(0.4, 0.6)))).prefixes
    assert [take(path).scores.values for path in cuts] == [(), (), (0.4,)]


def test_a_pruned_replay_pays_for_what_was_read() -> None:
    good = sample("yes\n5", scores=(0.9, 0.9), tokens=6, step_tokens=(3, 3), correct=True)
    recorded = problem(good, LONG, question_tokens=4)

    def keep(state: State, candidate: Candidate) -> int:
        assert candidate.estimate is not None
        return int(candidate.estimate.mean > 0.5)

    outcome = replay(tape(recorded), prune(fixed(2), keep, 2, answer=recorded_answer))
    assert outcome.chosen.text == "yes\n5"
    assert [one.path.text for one in outcome.dropped] == ["one\ntwo\n"]
    assert outcome.usage.completion_tokens == 6 + 5
    assert outcome.usage.prm_tokens == (4 + 3) + (4 + 6) + (4 + 2) + (4 + 5)


def test_pruning_nothing_gives_the_same_answers_as_best_of_n() -> None:
    recorded = problem(
        LONG, sample("c\nd", scores=(0.1, 0.7), tokens=20, correct=False), sample("x", scores=(0.5,))
    )
    whole = replay(tape(recorded), best_of_n(fixed(3), answer=recorded_answer))
    read = replay(tape(recorded), prune(fixed(3), lambda state, candidate: 1, answer=recorded_answer))
    assert {one.path.text for one in read.considered} == {one.path.text for one in whole.considered}
    assert read.chosen == whole.chosen
    assert read.usage.completion_tokens == whole.usage.completion_tokens


def test_a_verified_pool_has_nothing_to_prune() -> None:
    outcome = replay(tape(Problem("p", n=4, n_correct=1)), prune(fixed(4), lambda s, c: 0, verify=True))
    assert take(outcome.chosen).correct


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.integers(0, 60))
def test_token_ends_of_prefixes_ascend_to_the_whole(scores: list[float], tokens: int) -> None:
    text = "\n".join("word" * (i + 1) for i in range(len(scores)))
    (cuts,) = tape(problem(sample(text, tokens=tokens, scores=tuple(scores)))).prefixes
    ends = [path.usage.completion_tokens for path in cuts]
    assert ends == sorted(ends)
    assert ends[0] == 0
    assert ends[-1] <= tokens
