"""What the calibration charts say, against values derived in another way."""

import re
from collections.abc import Sequence
from math import nan

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from adaptive_middleware.calibration import metrics
from adaptive_middleware.calibration.coverage import coverage_lower
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.posthoc import LOWER, Calibration, QuantileMap
from adaptive_middleware.pictures.coverage_curve import coverage_curve, finding, transformed
from adaptive_middleware.pictures.histogram import histogram, split
from adaptive_middleware.pictures.judged import Judged, judged
from adaptive_middleware.pictures.reliability import reading, reliability
from tests.calibration.world import estimated, examples

HELD_OUT = examples(50, seed=2)
FINISHED = [e for e in HELD_OUT if e.kind == "finished"]


@pytest.fixture(scope="module")
def paths(calibration: Calibration) -> Judged:
    return judged(calibration, HELD_OUT)


@pytest.fixture(scope="module")
def answers(calibration: Calibration) -> Judged:
    return judged(calibration, FINISHED)


def percents(cells: Sequence[str]) -> list[float]:
    return [float(cell.removesuffix("\u00a0%")) / 100 for cell in cells]


def test_the_two_sides_are_the_last_score_and_the_mean_of_the_estimate(
    paths: Judged, calibration: Calibration
) -> None:
    assert paths.raw.probabilities.tolist() == [e.scores[-1] for e in HELD_OUT]
    assert paths.calibrated.probabilities.tolist() == [estimated(calibration, e).mean for e in HELD_OUT]


def test_the_diagram_shows_scikit_learns_calibration_curve(answers: Judged) -> None:
    picture = reliability(answers, "name", "Title")
    for side in answers.sides:
        observed, predicted = calibration_curve(answers.success, side.probabilities, n_bins=10)
        rows = [row for row in picture.table.rows if row[1] == side.name]
        assert percents([row[3] for row in rows]) == pytest.approx(predicted, abs=0.00051)
        assert percents([row[4] for row in rows]) == pytest.approx(observed, abs=0.00051)
        assert sum(int(row[2]) for row in rows) == len(FINISHED)


def test_the_diagrams_words_are_its_numbers(paths: Judged) -> None:
    said = reliability(paths, "name", "Title").finding
    raw, calibrated = (reading(paths, side) for side in paths.sides)
    errors = [
        metrics.ece_equal_width(side.probabilities.tolist(), paths.success.tolist()) for side in paths.sides
    ]
    assert percents(re.findall(r"([\d.]+\u00a0%) (?:raw|calibrated)", said)) == pytest.approx(
        errors, abs=0.00051
    )
    high = sum(b.predicted > b.observed for b in raw.bins)
    inside = [
        low <= b.predicted <= up for b, (low, up) in zip(calibrated.bins, calibrated.intervals, strict=True)
    ]
    assert f"too much in {high} of the {len(raw.bins)} bins" in said
    assert f"Calibrated, {sum(inside)} of {len(inside)} bins" in said


def test_every_bins_interval_holds_what_was_observed(paths: Judged) -> None:
    for side in paths.sides:
        found = reading(paths, side)
        for b, (low, high) in zip(found.bins, found.intervals, strict=True):
            assert np.isnan(low) or low <= b.observed <= high


def test_the_histogram_divides_all_paths_between_right_and_wrong(paths: Judged) -> None:
    for side in paths.sides:
        found = split(paths, side)
        assert found.right.sum() == pytest.approx(paths.success.mean())
        assert found.right.sum() + found.wrong.sum() == pytest.approx(1)


def test_the_histogram_of_answers_counts_them(answers: Judged) -> None:
    found = split(answers, answers.raw)
    tall = [e.success for e in FINISHED if 0.95 <= e.scores[-1] <= 1]
    assert found.right[-1] * len(FINISHED) == pytest.approx(sum(tall))
    assert found.wrong[-1] * len(FINISHED) == pytest.approx(len(tall) - sum(tall))


def test_the_histograms_words_agree_with_scikit_learn(answers: Judged) -> None:
    said = histogram(answers, "name", "Title").finding
    areas = [f"{roc_auc_score(answers.success, side.probabilities):.3f}" for side in answers.sides]
    assert f"{areas[0]} raw and {areas[1]} calibrated" in said
    wrong = [e.scores[-1] for e in FINISHED if not e.success]
    assert said.startswith(f"{100 * np.mean(np.array(wrong) > 0.9):.1f}\u00a0% of what ended wrong")


def test_measured_rates_have_no_auroc_and_say_none(paths: Judged) -> None:
    assert "AUROC" not in histogram(paths, "name", "Title").finding


def test_the_curve_at_the_lower_level_is_the_coverage_that_bundles_record(calibration: Calibration) -> None:
    for rows in (HELD_OUT, FINISHED):
        found = transformed(calibration, rows).share(LOWER)
        assert 1 - found == pytest.approx(coverage_lower(calibration, rows).share, abs=1e-12)


def test_the_curve_begins_at_none_ends_at_all_and_never_falls(calibration: Calibration) -> None:
    found = transformed(calibration, HELD_OUT)
    shares = [found.share(level) for level in np.linspace(0, 1, 21)]
    assert (shares[0], shares[-1]) == pytest.approx((0, 1), abs=1e-9)
    assert shares == sorted(shares)


LEVELS = (0.1, 0.5, 0.9)


def spread(low: float, middle: float, high: float) -> Calibration:
    return Calibration(
        LEVELS, {"any": QuantileMap((), (), 0.0, (0.0,), (middle,), ((low,), (middle,), (high,)))}
    )


def drawn_from_uniform(problems: int, trials: int) -> list[Example]:
    """Prefixes whose success probability is uniform on [0, 1], each measured by `trials` continuations."""
    rng = np.random.default_rng(8)
    right = rng.binomial(trials, rng.random(problems))
    return [
        Example((0.5,), 0, False, None, k / trials, trials, f"p{i}") for i, k in enumerate(right.tolist())
    ]


def test_quantiles_that_are_true_lie_on_the_diagonal() -> None:
    found = transformed(spread(0.1, 0.5, 0.9), drawn_from_uniform(3000, 20))
    shares = [found.share(level) for level in np.linspace(0, 1, 21)]
    assert shares == pytest.approx(np.linspace(0, 1, 21), abs=0.03)
    middles = (found.below + found.upto) / 2
    assert kstest(middles, "uniform").statistic < 0.05


def test_quantiles_that_promise_too_much_are_called_out() -> None:
    picture = coverage_curve(spread(0.5, 0.7, 0.95), drawn_from_uniform(400, 300), "coverage", "Coverage")
    assert "For 0 of 3 quantiles" in picture.finding
    row = picture.table.rows[0]
    assert row[0] == "10\u00a0%"
    assert percents([row[1]])[0] == pytest.approx(0.5, abs=0.06)
    assert picture.table.columns[-1] == "question"


def test_the_curves_words_name_the_largest_difference() -> None:
    said = finding((0.1, 0.5, 0.9), (0.12, 0.42, 0.9), ((0.1, 0.14), (0.4, 0.44), (0.85, 0.95)))
    assert (
        "kept by 88.0\u00a0% of the paths (95 % interval: 86.0 to 90.0\u00a0%), where 90\u00a0% are promised"
        in said
    )
    assert "For 2 of 3 quantiles" in said
    assert "8.0 points, at the 50\u00a0% quantile" in said


def test_a_level_shows_its_decimal_where_it_has_one() -> None:
    said = finding((0.025, 0.1), (0.2, 0.1), ((0.1, 0.3), (0.0, 0.2)))
    assert "at the 2.5\u00a0% quantile" in said


def test_too_few_problems_are_said_instead_of_an_interval() -> None:
    said = finding((0.1,), (0.12,), ((nan, nan),))
    assert "interval: –" in said
    assert "too few problems" in said
