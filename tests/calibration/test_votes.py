from math import asin, exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from adaptive_middleware.calibration import metrics
from adaptive_middleware.calibration.conformal import folds
from adaptive_middleware.calibration.vote_fit import Ballot, crossfit_votes, fingerprint, fit_votes
from adaptive_middleware.calibration.votes import VoteCalibration, evidence
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.policy.agreement import stays_leader
from tests.calibration.ballots import ballots

weights = st.floats(0, 3)
calibrations = st.builds(VoteCalibration, st.floats(-4, 4), weights, weights, weights, weights)
counts = st.lists(st.integers(1, 40), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def fitted() -> VoteCalibration:
    return fit_votes(ballots(150, 12, seed=1), orders=8)


def test_the_numbers_are_two_log_odds_the_logarithm_of_the_votes_and_the_arcsine_of_the_share() -> None:
    assert evidence((5, 2, 1)) == pytest.approx((log(5.5 / 3.5), log(5.5 / 2.5), log(5), asin(sqrt(5 / 8))))
    assert evidence((4,)) == pytest.approx((log(4.5 / 0.5), log(4.5 / 0.5), log(4), asin(1)))


@given(calibrations, counts)
def test_the_probability_is_the_logistic_model_in_any_order_of_the_counts(
    by_votes: VoteCalibration, votes: list[int]
) -> None:
    index = by_votes.bias + np.dot(
        (by_votes.share, by_votes.margin, by_votes.support, by_votes.unanimity), evidence(votes)
    )
    assert by_votes(votes) == pytest.approx(expit(index), rel=1e-9)
    assert by_votes(votes) == by_votes(votes[::-1]) == by_votes([0, *votes])


@given(calibrations, counts)
def test_a_vote_for_the_leader_never_lowers_it_and_a_vote_for_another_never_raises_it(
    by_votes: VoteCalibration, votes: list[int]
) -> None:
    first, *others = sorted(votes, reverse=True)
    now = by_votes(votes)
    assert by_votes([first + 1, *others]) >= now - 1e-12
    assert by_votes([first, *others, 1]) <= now + 1e-12
    if others and others[0] < first:
        assert by_votes([first, others[0] + 1, *others[1:]]) <= now + 1e-12


def test_nobody_leads_without_votes() -> None:
    assert (
        VoteCalibration(3.0, 1.0, 1.0, 1.0, 1.0)(())
        == VoteCalibration(3.0, 1.0, 1.0, 1.0, 1.0)((0, 0))
        == 0.0
    )


def test_the_fit_is_calibrated_on_other_problems_and_the_share_and_the_beta_rule_are_not(
    fitted: VoteCalibration,
) -> None:
    said, share, stays, right = [], [], [], []
    for ballot in ballots(3000, 9, seed=2):
        counted = {answer: ballot.answers.count(answer) for answer in ballot.answers}
        votes = tuple(sorted(counted.values(), reverse=True))
        leader = max(counted, key=counted.__getitem__)
        said.append(fitted(votes))
        share.append(votes[0] / sum(votes))
        stays.append(stays_leader(*(*votes, 0)[:2]))
        right.append(float(leader == "right"))
    off, rivals = metrics.ece_equal_mass(said, right), (share, stays)
    assert off < 0.7 * min(metrics.ece_equal_mass(rival, right) for rival in rivals)
    assert metrics.brier(said, right) < min(metrics.brier(rival, right) for rival in rivals)


def test_the_fit_is_scikit_learns_regression_where_no_weight_is_held(fitted: VoteCalibration) -> None:
    data = ballots(150, 12, seed=1)
    rows = [row for ballot in data for row in counted_as_documented(ballot, orders=30)]
    matrix, right = np.array([row[:4] for row in rows]), np.array([row[4] for row in rows])
    kept = [weight > 0 for weight in (fitted.share, fitted.margin, fitted.support, fitted.unanimity)]
    expected = LogisticRegression(C=np.inf, tol=1e-10).fit(matrix[:, kept], right)
    index = matrix[:, kept] @ expected.coef_[0] + expected.intercept_[0]
    found = fitted.bias + matrix @ np.array([fitted.share, fitted.margin, fitted.support, fitted.unanimity])
    assert expit(found) == pytest.approx(expit(index), abs=0.1)


def counted_as_documented(ballot: Ballot, orders: int) -> list[tuple[float, ...]]:
    """A slow second count: every order anew, at 1, 2, 3, 4, 6, 8, 11 votes."""
    rng = np.random.default_rng(3)
    rows: list[tuple[float, ...]] = []
    for _ in range(orders):
        order = rng.permutation(len(ballot.answers))
        for count in (1, 2, 3, 4, 6, 8, 11):
            seen = [ballot.answers[i] for i in order[:count]]
            leader = max(dict.fromkeys(seen), key=seen.count)
            votes = [seen.count(answer) for answer in set(seen)]
            rows.append((*evidence(votes), float(ballot.correct[order[seen.index(leader)]])))
    return rows


def test_the_same_ballots_give_the_same_calibration_in_any_order(fitted: VoteCalibration) -> None:
    data = ballots(150, 12, seed=1)
    assert fit_votes(data[::-1], orders=8) == fitted
    assert fingerprint(data[::-1]) == fingerprint(data) != fingerprint(data[1:])


def test_answers_that_say_nothing_do_not_vote() -> None:
    data = ballots(20, 6, seed=4)
    silent = [Ballot((None, *b.answers, None), (True, *b.correct, False), b.group) for b in data]
    mute = Ballot((None, None), (True, False), "mute")
    found, expected = fit_votes([*silent, mute]), fit_votes(data)
    assert found([3, 1]) == pytest.approx(expected([3, 1]), abs=0.05)
    assert "mute" not in crossfit_votes([*silent[:12], mute], orders=2)


def test_each_of_few_problems_gets_a_calibration_fitted_without_it() -> None:
    data = ballots(14, 8, seed=5)
    crossed = crossfit_votes(data, seed=2, orders=4)
    assert set(crossed) == {ballot.group for ballot in data}
    out = data[3].group
    assert crossed[out] == fit_votes([one for one in data if one.group != out], seed=2, orders=4)


def test_many_problems_share_the_calibrations_of_their_folds() -> None:
    data = ballots(60, 5, seed=6)
    crossed = crossfit_votes(data, folds=4, seed=1, orders=2)
    of = folds([ballot.group for ballot in data], 4, 1)
    seen = [ballot for ballot in data if of[ballot.group] != 2]
    for group in (group for group, fold in of.items() if fold == 2):
        assert crossed[group] == fit_votes(seen, seed=1, orders=2)


def test_one_sided_votes_are_read_where_the_leader_is_a_fair_coin() -> None:
    rng = np.random.default_rng(0)
    fair = [Ballot(("x",) * 4, (bool(rng.random() < 0.5),) * 4, f"p{i}") for i in range(400)]
    assert fit_votes(fair, orders=1)((4,)) == pytest.approx(np.mean([b.correct[0] for b in fair]), abs=1e-3)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (ballots(9, 5, seed=1), "9 problems with answers are too few: votes need at least 10"),
        ([Ballot(("a",), (True,), f"p{i}") for i in range(12)], "every leading answer is right: add harder"),
        ([Ballot(("a",), (False,), f"p{i}") for i in range(12)], "every leading answer is wrong: add easier"),
        (
            [*ballots(12, 5, seed=1), Ballot(("a", "b"), (True,), "odd")],
            "problem 'odd': 2 answers, but 1 times",
        ),
    ],
)
def test_ballots_that_cannot_be_used_are_named(bad: list[Ballot], says: str) -> None:
    with pytest.raises(CalibrationError, match=says):
        fit_votes(bad)


def test_one_fold_would_hold_nothing_out() -> None:
    with pytest.raises(CalibrationError, match="folds=1"):
        crossfit_votes(ballots(12, 5, seed=1), folds=1)


def test_an_extreme_index_is_still_a_probability() -> None:
    assert VoteCalibration(-1e6, 0.0, 0.0, 0.0, 0.0)((1,)) == pytest.approx(0.0, abs=exp(-700))
    assert VoteCalibration(1e6, 0.0, 0.0, 0.0, 0.0)((1,)) == 1.0
