from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, mean_pinball_loss, roc_auc_score

from adaptive_middleware.calibration import metrics
from adaptive_middleware.errors import CalibrationError

RNG = np.random.default_rng(5)
P = RNG.beta(0.7, 0.7, 400)
OUTCOMES = (RNG.random(400) < P**1.5).astype(float)
RATES = RNG.binomial(8, P) / 8

probabilities = st.floats(0, 1)
pairs = st.lists(st.tuples(probabilities, probabilities), min_size=1, max_size=40)


def test_brier_agrees_with_scikit_learn() -> None:
    assert metrics.brier(P.tolist(), OUTCOMES.tolist()) == pytest.approx(
        brier_score_loss(OUTCOMES, P), abs=1e-12
    )


def test_positive_brier_counts_over_estimates_only() -> None:
    assert metrics.positive_brier([0.9, 0.2, 0.5], [0.4, 1.0, 0.5]) == pytest.approx(0.25 / 3)


@given(pairs)
def test_brier_is_the_sum_of_its_two_sides(rows: list[tuple[float, float]]) -> None:
    predicted, targets = zip(*rows, strict=True)
    under = metrics.positive_brier([1 - p for p in predicted], [1 - t for t in targets])
    assert metrics.brier(predicted, targets) == pytest.approx(
        metrics.positive_brier(predicted, targets) + under
    )


@pytest.mark.parametrize(
    ("strategy", "ece"), [("uniform", metrics.ece_equal_width), ("quantile", metrics.ece_equal_mass)]
)
@pytest.mark.parametrize("bins", [1, 4, 10])
def test_ece_is_the_weighted_gap_of_scikit_learns_calibration_curve(
    strategy: str, ece: Callable[[Sequence[float], Sequence[float], int], float], bins: int
) -> None:
    right, predicted = calibration_curve(OUTCOMES, P, n_bins=bins, strategy=strategy)
    inner = np.arange(1, bins) / bins
    edges = inner if strategy == "uniform" else np.percentile(P, 100 * inner)
    counts = np.bincount(np.searchsorted(edges, P), minlength=bins)
    expected = np.sum(counts[counts > 0] * np.abs(right - predicted)) / len(P)
    assert ece(P.tolist(), OUTCOMES.tolist(), bins) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("bins", [1, 4, 10])
def test_reliability_bins_are_those_of_scikit_learns_calibration_curve(bins: int) -> None:
    right, predicted = calibration_curve(OUTCOMES, P, n_bins=bins, strategy="uniform")
    found = metrics.reliability(P.tolist(), OUTCOMES.tolist(), bins)
    assert [each.predicted for each in found] == pytest.approx(predicted, abs=1e-9)
    assert [each.observed for each in found] == pytest.approx(right, abs=1e-9)


@given(pairs, st.integers(1, 15))
def test_reliability_bins_part_the_predictions_and_their_gaps_make_the_ece(
    rows: list[tuple[float, float]], bins: int
) -> None:
    predicted, targets = zip(*rows, strict=True)
    found = metrics.reliability(predicted, targets, bins)
    assert sorted(i for each in found for i in each.members) == list(range(len(rows)))
    for each in found:
        assert all(
            each.low < predicted[i] <= each.high or predicted[i] == each.low == 0 for i in each.members
        )
    gaps = sum(len(each.members) * abs(each.predicted - each.observed) for each in found)
    assert gaps / len(rows) == pytest.approx(metrics.ece_equal_width(predicted, targets, bins), abs=1e-9)


def test_ece_takes_measured_rates_as_targets() -> None:
    assert metrics.ece_equal_width([0.3, 0.3, 0.9], [0.25, 0.5, 0.875]) == pytest.approx(0.175 / 3)


def test_a_prediction_on_an_edge_belongs_to_the_bin_below() -> None:
    assert metrics.ece_equal_width([0.5, 0.4], [0.4, 0.5], bins=2) == pytest.approx(0)


def test_equal_predictions_share_an_equal_mass_bin() -> None:
    assert metrics.ece_equal_mass([0.5] * 10, [0, 1] * 5, bins=10) == 0


@given(pairs, st.integers(1, 15))
def test_ece_never_exceeds_the_mean_absolute_error(rows: list[tuple[float, float]], bins: int) -> None:
    predicted, targets = zip(*rows, strict=True)
    error = sum(abs(p - t) for p, t in rows) / len(rows)
    assert metrics.ece_equal_width(predicted, targets, bins) <= error + 1e-12
    assert metrics.ece_equal_mass(predicted, targets, bins) <= error + 1e-12


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_pinball_agrees_with_scikit_learn(level: float) -> None:
    expected = mean_pinball_loss(RATES, P, alpha=level)
    assert metrics.pinball(P.tolist(), RATES.tolist(), level) == pytest.approx(expected, abs=1e-12)


def test_weighted_quantile_loss_is_the_mean_over_levels() -> None:
    rows = [[q] * len(RATES) for q in (0.2, 0.6)]
    expected = (
        mean_pinball_loss(RATES, rows[0], alpha=0.1) + mean_pinball_loss(RATES, rows[1], alpha=0.9)
    ) / 2
    assert metrics.weighted_quantile_loss(rows, RATES.tolist(), [0.1, 0.9]) == pytest.approx(
        expected, abs=1e-12
    )


def test_coverage_counts_a_target_on_the_quantile() -> None:
    assert metrics.quantile_coverage([0.25, 0.26], [0.25, 0.25]) == 0.5


def test_coverage_of_true_quantiles_is_one_minus_the_level() -> None:
    draws = RNG.beta(2, 3, 20_000)
    tenth = float(np.quantile(draws, 0.1))
    assert metrics.quantile_coverage([tenth] * len(draws), draws.tolist()) == pytest.approx(0.9, abs=1e-3)


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_auroc_agrees_with_scikit_learn_and_scipy_on_ties(rows: list[tuple[int, bool]]) -> None:
    scores, labels = [float(s) for s, _ in rows], [float(y) for _, y in rows]
    if len(set(labels)) < 2:
        with pytest.raises(CalibrationError, match="right and wrong"):
            metrics.auroc(scores, labels)
        return
    found = metrics.auroc(scores, labels)
    ups, downs = ([s for s, y in zip(scores, labels, strict=True) if y == want] for want in (1, 0))
    assert found == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    assert found == pytest.approx(mannwhitneyu(ups, downs).statistic / (len(ups) * len(downs)), abs=1e-9)


def test_auroc_within_is_blind_to_what_only_tells_problems_apart() -> None:
    groups = ["easy"] * 4 + ["hard"] * 4
    labels = [1, 1, 1, 0, 1, 0, 0, 0]
    scores = [0.9] * 4 + [0.1] * 4
    assert metrics.auroc(scores, labels) == 0.75
    assert metrics.auroc_within(scores, labels, groups) == 0.5


def test_auroc_within_leaves_one_sided_groups_out_and_counts_each_other_once() -> None:
    groups = [1, 1, 2, 2, 2, 2, 3]
    assert metrics.auroc_within([1, 0, 4, 3, 2, 1, 9], [1, 0, 0, 1, 1, 1, 1], groups) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "measure",
    [
        metrics.brier,
        metrics.positive_brier,
        metrics.ece_equal_width,
        metrics.ece_equal_mass,
        metrics.reliability,
        metrics.quantile_coverage,
    ],
)
@pytest.mark.parametrize(
    ("predicted", "targets", "says"),
    [
        ([], [], "nothing to measure"),
        ([0.5], [0.5, 0.5], "1 predictions but 2 targets"),
        ([0.5, float("nan")], [1, 1], "prediction 1 is nan"),
        ([0.5, 1.5], [1, 1], "prediction 1 is 1.5"),
        ([0.5, 0.5], [1, -0.1], "target 1 is -0.1"),
    ],
)
def test_bad_input_is_named(
    measure: Callable[[Sequence[float], Sequence[float]], object],
    predicted: list[float],
    targets: list[float],
    says: str,
) -> None:
    with pytest.raises(CalibrationError, match=says):
        measure(predicted, targets)


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_a_quantile_level_outside_the_unit_interval_is_refused(level: float) -> None:
    with pytest.raises(CalibrationError, match="level"):
        metrics.pinball([0.5], [0.5], level)


def test_quantiles_without_their_levels_are_refused() -> None:
    with pytest.raises(CalibrationError, match="1 sequences of quantiles for 2 levels"):
        metrics.weighted_quantile_loss([[0.5]], [0.5], [0.1, 0.9])
    with pytest.raises(CalibrationError, match="0 sequences"):
        metrics.weighted_quantile_loss([], [0.5], [])


@pytest.mark.parametrize("ece", [metrics.ece_equal_width, metrics.ece_equal_mass, metrics.reliability])
def test_no_bins_are_refused(ece: Callable[[Sequence[float], Sequence[float], int], object]) -> None:
    with pytest.raises(CalibrationError, match="bins=0"):
        ece([0.5], [0.5], 0)


@pytest.mark.parametrize(
    ("scores", "labels", "says"),
    [
        ([0.1, float("nan")], [0, 1], "score 1 is nan"),
        ([0.1, 0.2], [0, 0.5], "label 1 is 0.5"),
        ([], [], "nothing to measure"),
        ([0.1], [0, 1], "1 scores but 2 labels"),
    ],
)
def test_auroc_names_bad_input(scores: list[float], labels: list[float], says: str) -> None:
    with pytest.raises(CalibrationError, match=says):
        metrics.auroc(scores, labels)


def test_auroc_within_names_missing_groups() -> None:
    with pytest.raises(CalibrationError, match="one group per score"):
        metrics.auroc_within([0.1, 0.2], [0, 1], ["a"])
    with pytest.raises(CalibrationError, match="none of the 2 groups"):
        metrics.auroc_within([0.1, 0.2], [0, 1], ["a", "b"])
