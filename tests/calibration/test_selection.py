from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from adaptive_middleware.calibration import metrics
from adaptive_middleware.calibration.conformal import folds
from adaptive_middleware.calibration.fit import fit
from adaptive_middleware.calibration.selection import held_out_losses, helps
from adaptive_middleware.calibration.shapes import matrix_of
from adaptive_middleware.errors import CalibrationError
from tests.calibration.world import answers, estimated, examples, lengthy

PLAIN, LONGER = ("last",), ("last", "length")


def test_a_length_that_tells_is_read_and_sharpens_held_out_estimates() -> None:
    calibration = fit(lengthy(60, 8, seed=1, weight=-1.0))
    assert set(calibration.maps) == {"finished", "finished+length", "any", "any+length"}
    unseen = lengthy(200, 8, seed=2, weight=-1.0)
    truth = [row.success for row in unseen]
    read = metrics.brier([estimated(calibration, row).mean for row in unseen], truth)
    unread = metrics.brier([estimated(calibration, replace(row, tokens=None)).mean for row in unseen], truth)
    assert read < 0.95 * unread


def test_longer_may_mean_better() -> None:
    calibration = fit(lengthy(60, 8, seed=1, weight=1.0))
    short, long = (calibration.estimate((0.5,), 1, True, None, tokens) for tokens in (20, 400))
    assert short.mean < long.mean


def test_a_length_that_says_nothing_is_mostly_left_out() -> None:
    kept = [
        "any+length" in fit(lengthy(30, 8, seed=seed, weight=0.0), levels=(0.1, 0.9)).maps
        for seed in range(12)
    ]
    assert sum(kept) <= 3


def test_lengths_that_few_paths_carry_are_left_out() -> None:
    rows = lengthy(60, 8, seed=1, weight=-1.0)
    few = [replace(row, tokens=None if i >= 50 else row.tokens) for i, row in enumerate(rows)]
    assert set(fit(few).maps) == {"finished", "any"}


def test_evidence_that_is_asked_for_is_read_whatever_the_data_say() -> None:
    rows = lengthy(30, 8, seed=3, weight=0.0)
    assert set(fit(rows, evidence=("length",)).maps) == {"finished", "finished+length", "any", "any+length"}
    assert set(fit(lengthy(60, 8, seed=1, weight=-1.0), evidence=()).maps) == {"finished", "any"}
    assert "partial+logprobs" in fit(examples(40, seed=2), evidence=("logprobs",)).maps


@pytest.mark.parametrize("evidence", [("tokens",), ("length", "logprobs"), ("length", "length")])
def test_unknown_evidence_is_refused(evidence: tuple[str, ...]) -> None:
    with pytest.raises(CalibrationError, match="possible are logprobs, length"):
        fit(answers(12, 8, seed=1), evidence=evidence)


def test_the_losses_are_those_of_scikit_learns_regression_on_the_other_folds() -> None:
    rows = lengthy(25, 6, seed=4, weight=-1.0)
    found = held_out_losses(rows, LONGER, seed=7)
    of = folds([row.group for row in rows], 5, 7)
    matrix, right = matrix_of(rows, LONGER), np.array([row.success for row in rows])
    names = sorted(of)
    for fold in range(5):
        seen = np.array([of[row.group] != fold for row in rows])
        z = (matrix - matrix[seen].mean(axis=0)) / matrix[seen].std(axis=0)
        model = LogisticRegression(C=1 / (1e-3 * seen.sum()), tol=1e-10).fit(z[seen], right[seen])
        for name in (name for name in names if of[name] == fold):
            own = np.array([row.group == name for row in rows])
            chances = model.predict_proba(z[own])[:, 1]
            expected = log_loss(right[own], chances, labels=[0, 1]) * own.sum()
            assert found[names.index(name)] == pytest.approx(expected, rel=1e-3)


def test_better_means_by_more_than_one_standard_error_over_problems() -> None:
    outcomes = set()
    for seed in range(6):
        rows = lengthy(25, 6, seed=seed, weight=-0.8)
        saved = held_out_losses(rows, PLAIN, 0) - held_out_losses(rows, LONGER, 0)
        asked = stats.ttest_1samp(saved, 0).statistic > 1
        assert helps(rows, LONGER, PLAIN, 0) == asked
        assert stats.sem(saved) == pytest.approx(saved.std(ddof=1) / sqrt(25))
        outcomes.add(bool(asked))
    assert outcomes == {True, False}


def test_the_same_features_do_not_help() -> None:
    rows = lengthy(25, 6, seed=1, weight=-1.0)
    assert not helps(rows, PLAIN, PLAIN, 0)


def test_measured_rates_count_as_shares_of_a_right_end() -> None:
    rows = [row for row in examples(12, seed=3) if row.kind == "partial"]
    whole = held_out_losses(rows, PLAIN, 1)
    assert whole.shape == (12,)
    perfect = [
        -(r * np.log(r) + (1 - r) * np.log(1 - r)) if 0 < (r := row.success) < 1 else 0.0 for row in rows
    ]
    assert whole.sum() > sum(perfect)
