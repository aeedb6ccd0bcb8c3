import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import kolmogorov
from scipy.stats import chi2, ttest_1samp
from sklearn.linear_model import LogisticRegression

from adaptive_middleware.audit.drift import drift
from adaptive_middleware.audit.error import bias, calibration_error
from adaptive_middleware.audit.evidence import evidence
from adaptive_middleware.audit.judged import Judged, clustered, resamples
from adaptive_middleware.calibration.metrics import ece_equal_width
from tests.audit.world import judged

ROWS = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0]), st.sampled_from("abcdefghijkl")),
    min_size=1,
    max_size=60,
)


def made(rows: list[tuple[float, float, str]]) -> Judged:
    p, right, problem = zip(*rows, strict=True)
    return Judged(p, right, problem)


@given(ROWS)
def test_sums_over_problems_are_what_adding_up_gives(rows: list[tuple[float, float, str]]) -> None:
    found = made(rows)
    expected = [
        math.fsum(p - right for p, right, problem in rows if problem == name)
        for name in dict.fromkeys(found.problem)
    ]
    assert clustered(found.residuals[:, None], found.problem)[:, 0] == pytest.approx(expected, abs=1e-12)


def test_resampled_means_spread_as_the_standard_error_says() -> None:
    rows = np.random.default_rng(0).normal(3, 2, (400, 1))
    means = resamples(rows, np.random.default_rng(1))
    assert means.mean() == pytest.approx(rows.mean(), abs=0.02)
    assert means.std() == pytest.approx(rows.std() / 20, rel=0.06)


def test_resampled_ratios_weigh_problems_by_their_size() -> None:
    sums, sizes = np.array([[2.0], [30.0]]), np.array([1.0, 10.0])
    found = set(np.round(resamples(sums, np.random.default_rng(0), sizes)[:, 0], 9))
    assert found == {2.0, round(32 / 11, 9), 3.0}


@given(ROWS)
@settings(max_examples=40)
def test_figures_of_anything_are_in_range_and_inside_their_intervals(
    rows: list[tuple[float, float, str]],
) -> None:
    found = made(rows)
    error, off, test = calibration_error(found), bias(found), evidence(found)
    assert 0 <= error.low <= error.value <= error.high <= 1
    assert -1 <= off.low <= off.value <= off.high <= 1
    assert 0 <= test.p_value <= 1
    assert 0 < error.by_chance <= 1
    assert math.isfinite(test.slope + test.intercept)


def test_the_error_is_the_expected_calibration_error_and_the_bias_the_mean_difference() -> None:
    found = judged(50, 8, seed=3, shift=0.5)
    assert calibration_error(found).value == ece_equal_width(found.p, found.right)
    assert bias(found).value == pytest.approx(np.mean(found.p) - np.mean(found.right))


def test_with_one_answer_a_problem_the_interval_of_the_bias_is_students() -> None:
    found = judged(200, 1, seed=4, slope=0.1)
    expected = ttest_1samp(found.residuals, 0).confidence_interval(0.95)
    off = bias(found)
    assert (off.low, off.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_answers_to_one_problem_are_not_counted_as_many() -> None:
    once = judged(60, 1, seed=5)
    often = Judged(once.p * 20, once.right * 20, once.problem * 20)
    assert bias(often).half_width == pytest.approx(bias(once).half_width, rel=0.25)
    assert evidence(often).p_value == pytest.approx(evidence(once).p_value, abs=0.2)


def test_outcomes_that_happen_to_be_alike_do_not_pass_for_certainty() -> None:
    lucky = Judged((0.9,) * 20, (1.0,) * 20, tuple(map(str, range(20))))
    assert bias(lucky).low < 0 < bias(lucky).high + 0.1
    assert evidence(lucky).p_value == pytest.approx(chi2.sf(20 * 0.1**2 / 0.09, 1), rel=1e-6)
    assert calibration_error(lucky).by_chance > 0.05


def test_the_test_of_independent_answers_is_raos_score_test() -> None:
    found = judged(3000, 1, seed=6, shared=0.0, shift=0.07)
    p, right = np.clip(np.array(found.p), 1e-3, 1 - 1e-3), np.array(found.right)
    design = np.column_stack([np.ones(len(p)), np.log(p / (1 - p))])
    score = design.T @ (right - np.array(found.p))
    information = design.T @ np.diag(p * (1 - p)) @ design
    rao = chi2.sf(score @ np.linalg.solve(information, score), 2)
    assert 0.001 < rao < 0.9
    assert evidence(found).p_value == pytest.approx(rao, rel=0.35)


def test_slope_and_intercept_are_those_of_logistic_regression() -> None:
    found = judged(400, 4, seed=7, shift=0.6, slope=0.7)
    p = np.clip(np.array(found.p), 1e-3, 1 - 1e-3)
    fitted = LogisticRegression(C=1e9, tol=1e-10).fit(np.log(p / (1 - p))[:, None], np.array(found.right))
    test = evidence(found)
    assert test.slope == pytest.approx(fitted.coef_[0, 0], abs=2e-3)
    assert test.intercept == pytest.approx(fitted.intercept_[0], abs=2e-3)


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_a_calibration_that_is_right_is_seldom_rejected(shared: float) -> None:
    p_values = [evidence(judged(40, 12, seed, shared=shared)).p_value for seed in range(200)]
    assert np.mean(np.array(p_values) < 0.05) <= 0.07
    assert np.mean(np.array(p_values) < 0.01) <= 0.02


@pytest.mark.parametrize("wrong", [{"shift": 1.0}, {"shift": -1.0}, {"slope": 0.4}, {"slope": 2.5}])
def test_a_calibration_that_is_wrong_is_rejected(wrong: dict[str, float]) -> None:
    assert all(evidence(judged(150, 8, seed, **wrong)).p_value < 0.01 for seed in range(5))


def test_certain_answers_that_are_wrong_are_rejected_and_right_ones_are_not() -> None:
    names = tuple(map(str, range(30)))
    assert evidence(Judged((1.0,) * 30, (0.0,) * 30, names)).p_value < 1e-6
    assert evidence(Judged((1.0,) * 30, (1.0,) * 30, names)).p_value > 0.8


def test_the_interval_of_the_error_holds_the_true_one() -> None:
    truth = 0.2
    rng = np.random.default_rng(8)
    held = 0
    for seed in range(40):
        p = rng.choice([0.3, 0.7], 300)
        right = (rng.random(300) < np.where(p < 0.5, p + truth, p - truth)).astype(float)
        error = calibration_error(Judged(tuple(p), tuple(right), tuple(map(str, range(300)))), seed)
        held += error.low <= truth <= error.high
    assert held >= 35


def test_in_a_single_bin_the_interval_of_the_error_is_that_of_a_mean() -> None:
    right = (1.0, 0.0) * 200
    error = calibration_error(Judged((0.7,) * 400, right, tuple(map(str, range(400)))))
    assert error.value == pytest.approx(0.2)
    assert error.high - error.value == pytest.approx(1.96 * 0.5 / 20, rel=0.08)
    assert error.value - error.low == pytest.approx(1.96 * 0.5 / 20, rel=0.08)


def test_an_error_by_chance_is_told_from_a_real_one() -> None:
    assert calibration_error(judged(60, 8, seed=9)).low < 0.03
    assert calibration_error(judged(60, 8, seed=9, shift=1.5)).by_chance < 0.01


def test_drift_is_kolmogorovs_distribution_of_the_largest_excursion() -> None:
    found = judged(100, 1, seed=10, shared=0.0)
    changed = drift(found)
    assert changed is not None
    off = np.array(found.p) - np.array(found.right)
    path = np.abs(np.cumsum(off - off.mean()))
    spread = max(off.std(), np.sqrt(np.mean(np.array(found.p) * (1 - np.array(found.p)))))
    assert changed.p_value == pytest.approx(kolmogorov(path.max() / spread / 10), rel=1e-6)
    assert changed.changed_at == path.argmax() + 1


def test_a_change_is_found_where_it_is_and_its_halves_are_told() -> None:
    changed = drift(judged(400, 1, seed=11, shared=0.0, late=2.0))
    assert changed is not None
    assert changed.p_value < 0.001
    assert 160 < changed.changed_at < 240
    assert abs(changed.early.value) < 0.06
    assert changed.late.value > 0.15


def test_without_a_change_drift_is_seldom_seen() -> None:
    p_values = []
    for seed in range(200):
        changed = drift(judged(120, 1, seed, shared=0.0))
        assert changed is not None
        p_values.append(changed.p_value)
    assert np.mean(np.array(p_values) < 0.05) <= 0.07


def test_harder_traffic_is_not_taken_for_a_worse_calibration() -> None:
    easy, hard = judged(300, 1, 12, shared=0.0), judged(300, 1, 13, shared=0.0)
    kept = [row for row in zip(easy.p, easy.right, strict=True) if row[0] > 0.5]
    after = [row for row in zip(hard.p, hard.right, strict=True) if row[0] < 0.5]
    rows = [(p, right, str(i)) for i, (p, right) in enumerate([*kept, *after])]
    changed = drift(made(rows))
    assert changed is not None
    assert changed.traffic_p_value < 1e-6
    assert changed.p_value > 0.01


def test_a_change_is_not_looked_for_in_a_few_problems() -> None:
    assert drift(judged(39, 5, seed=14)) is None
    assert drift(judged(40, 1, seed=14)) is not None
