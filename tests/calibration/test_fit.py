from dataclasses import replace
from math import nan

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from adaptive_middleware.calibration import metrics
from adaptive_middleware.calibration.conformal import Levels, folds
from adaptive_middleware.calibration.coverage import coverage_lower
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.fit import LEVELS, fit
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.calibration.shapes import matrix_of, quantile_map, shape
from adaptive_middleware.errors import CalibrationError
from tests.calibration.world import Known, answers, estimated, examples

# Tolerances on the truth are two standard deviations between fits to 200 problems with 8 rollouts a prefix.
KINDS = ("question", "partial", "finished")


def of_kind(known: list[Known], kind: str) -> list[Known]:
    return [one for one in known if one.example.kind == kind]


@pytest.mark.parametrize(("kind", "within"), [("question", 0.07), ("partial", 0.05)])
def test_the_lower_quantile_covers_the_true_probability_of_nine_prefixes_in_ten(
    calibration: Calibration, held_out: list[Known], kind: str, within: float
) -> None:
    own = of_kind(held_out, kind)
    lower = [estimated(calibration, one.example).lower for one in own]
    assert metrics.quantile_coverage(lower, [one.truth for one in own]) == pytest.approx(0.9, abs=within)


@pytest.mark.parametrize("kind", KINDS)
def test_the_reported_coverage_is_nine_in_ten_on_held_out_problems(
    calibration: Calibration, held_out: list[Known], kind: str
) -> None:
    found = coverage_lower(calibration, [one.example for one in of_kind(held_out, kind)])
    assert found.share == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize(("kind", "largest"), [("question", 0.6), ("partial", 0.3), ("finished", 0.4)])
def test_calibration_cuts_the_error_against_the_truth(
    calibration: Calibration, held_out: list[Known], kind: str, largest: float
) -> None:
    own = of_kind(held_out, kind)
    truth = [one.truth for one in own]
    raw = metrics.ece_equal_mass([one.example.scores[-1] for one in own], truth)
    calibrated = metrics.ece_equal_mass([estimated(calibration, one.example).mean for one in own], truth)
    assert calibrated < largest * raw


def test_the_upper_quantile_is_exceeded_by_one_prefix_in_ten(
    calibration: Calibration, held_out: list[Known]
) -> None:
    own = of_kind(held_out, "partial")
    upper = [estimated(calibration, one.example).upper for one in own]
    assert metrics.quantile_coverage(upper, [one.truth for one in own]) == pytest.approx(0.1, abs=0.06)


def test_log_probabilities_sharpen_partial_estimates(calibration: Calibration, held_out: list[Known]) -> None:
    own = of_kind(held_out, "partial")
    truth = [one.truth for one in own]
    with_them = [estimated(calibration, one.example).mean for one in own]
    without = [estimated(calibration, replace(one.example, logprobs=None)).mean for one in own]
    assert metrics.brier(with_them, truth) < 0.97 * metrics.brier(without, truth)


def test_the_lower_rate_of_finished_answers_is_kept_by_nine_problems_in_ten(
    answer_calibration: Calibration,
) -> None:
    many = coverage_lower(answer_calibration, answers(150, 150, seed=7))
    assert many.share == pytest.approx(0.9, abs=0.05)
    assert many.plain == pytest.approx(0.87, abs=0.06)


def test_whole_answer_scores_alone_calibrate_every_kind_of_path(answer_calibration: Calibration) -> None:
    assert set(answer_calibration.maps) == {"finished", "any"}
    assert answer_calibration.estimate((0.5,), 0, False) == answer_calibration.estimate((0.5,), 1, True)


def test_each_kind_gets_its_own_map_once_there_is_enough_of_it(calibration: Calibration) -> None:
    twice = {name for kind in ("partial", "any") for name in (kind, f"{kind}+logprobs")}
    assert set(calibration.maps) == {"question", "finished", *twice}
    few = fit(examples(15, seed=4))
    assert set(few.maps) == {"any"}


def test_the_same_examples_and_seed_give_the_same_calibration() -> None:
    data = examples(40, seed=2)
    assert fit(data, seed=3) == fit(data, seed=3)


def test_levels_are_the_callers() -> None:
    narrow = fit(answers(30, 8, seed=1), levels=(0.1, 0.5, 0.9))
    assert [level for level, _ in narrow.estimate((0.5,), 1, True).quantiles] == [0.1, 0.5, 0.9]
    assert LEVELS[1] == 0.1


def test_scores_that_say_nothing_give_the_base_rate() -> None:
    rows = [replace(row, scores=(0.5,)) for row in answers(40, 10, seed=3)]
    rate = sum(row.success for row in rows) / len(rows)
    found = fit(rows).estimate((0.5,), 1, True)
    assert found.mean == pytest.approx(rate, abs=1e-3)
    assert found.lower < rate < found.upper


def test_misleading_scores_are_not_turned_upside_down() -> None:
    rows = [replace(row, scores=(1 - row.scores[0],)) for row in answers(40, 10, seed=3)]
    found = fit(rows)
    assert found.estimate((0.05,), 1, True).mean == found.estimate((0.95,), 1, True).mean


def test_the_index_is_scikit_learns_logistic_regression_where_no_weight_is_held() -> None:
    rows = answers(60, 10, seed=5)
    matrix = matrix_of(rows, ("last",))
    model = shape(rows, matrix, ("last",))
    ridge = LogisticRegression(C=1 / (1e-3 * len(rows)), tol=1e-10)
    z = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    expected = ridge.fit(z, [row.success for row in rows])
    assert model.weights[0] * matrix.std() == pytest.approx(expected.coef_[0, 0], rel=1e-3)


def test_the_means_are_scikit_learns_isotonic_regression_of_the_bins() -> None:
    rows = answers(60, 10, seed=5)
    model = shape(rows, matrix_of(rows, ("last",)), ("last",))
    index = model.index(matrix_of(rows, ("last",)))
    success = np.array([row.success for row in rows])
    nearest = np.argsort(np.argsort(index)) * len(model.means) // len(rows)
    counts = np.bincount(nearest)
    rates = (np.bincount(nearest, success) + success.mean()) / (counts + 1)
    expected = IsotonicRegression().fit(model.centres, rates, sample_weight=counts).predict(model.centres)
    assert model.means == pytest.approx(expected, abs=0.02)


def test_spread_tells_true_differences_from_binomial_noise() -> None:
    rng = np.random.default_rng(0)

    def fitted(a: float, b: float) -> float:
        p = rng.beta(a, b, 800)
        rows = [Example((0.5,), 1, False, None, rng.binomial(8, q) / 8, 8, f"p{i}") for i, q in enumerate(p)]
        return float(shape(rows, matrix_of(rows, ("last",)), ("last",)).spreads[0])

    assert fitted(2, 2) == pytest.approx(4, rel=0.3)
    assert fitted(50, 50) > 30


def test_quantiles_of_a_shape_are_those_of_its_beta_distribution() -> None:
    rows = [replace(row, scores=(0.5,)) for row in answers(40, 10, seed=3)]
    model = shape(rows, matrix_of(rows, ("last",)), ("last",))
    found = quantile_map(model, (0.1, 0.9), (0.2, 0.8))
    draws = np.random.default_rng(1).beta(
        model.means[0] * model.spreads[0], (1 - model.means[0]) * model.spreads[0], 200_000
    )
    assert [row[0] for row in found.quantiles] == pytest.approx(np.quantile(draws, [0.2, 0.8]), abs=5e-3)


def test_conformal_levels_keep_their_order() -> None:
    read = Levels(0.3, 0.6).read_at([0.0, 0.05, 0.1, 0.5, 0.9, 1.0])
    assert read == pytest.approx([0.0, 0.15, 0.3, 0.45, 0.6, 1.0])


def test_conformal_levels_mend_a_bound_that_the_model_gets_wrong() -> None:
    rng = np.random.default_rng(8)

    def hidden_traps(problems: int) -> tuple[list[Example], list[float]]:
        """One prefix in six is doomed, and no score tells which: not a Beta distribution."""
        p = np.where(rng.random(problems) < 1 / 6, 0.02, rng.beta(16, 4, problems))
        return [
            Example((0.5,), 1, False, None, rng.binomial(16, q) / 16, 16, f"p{i}") for i, q in enumerate(p)
        ], p.tolist()

    rows, _ = hidden_traps(600)
    unseen, truth = hidden_traps(4000)
    names = ("last",)
    as_modelled = quantile_map(shape(rows, matrix_of(rows, names), names), (0.1,), (0.1,)).quantiles[0][0]
    calibration = fit(rows)
    assert metrics.quantile_coverage([as_modelled] * 4000, truth) < 0.85
    assert calibration.estimate((0.5,), 1, False).lower < as_modelled / 2
    assert 0.87 < coverage_lower(calibration, unseen).share < 0.93


def test_folds_deal_problems_evenly_and_depend_on_the_seed_only() -> None:
    groups = [f"p{i % 23}" for i in range(100)]
    dealt = folds(groups, 5, seed=1)
    assert sorted(np.bincount(list(dealt.values())).tolist()) == [4, 4, 5, 5, 5]
    assert dealt == folds(groups[::-1], 5, seed=1)
    assert dealt != folds(groups, 5, seed=2)


GOOD = answers(20, 3, seed=1)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "no examples"),
        ([replace(row, success=1.0) for row in GOOD], "all 60 examples end right: add harder"),
        ([replace(row, success=0.0) for row in GOOD], "all 60 examples end wrong: add easier"),
        (answers(8, 20, seed=1), "8 problems are too few.* at least 9"),
        ([*GOOD, replace(GOOD[0], scores=(0.5, nan))], "example 60 .*'a1-0'.*nan"),
    ],
)
def test_data_that_cannot_be_fitted_is_named_with_a_remedy(rows: list[Example], says: str) -> None:
    with pytest.raises(CalibrationError, match=says):
        fit(rows)


@pytest.mark.parametrize(
    "levels", [(), (0.1, 0.5), (0.5, 0.9), (0.9, 0.5, 0.1), (0.0, 0.1, 0.9), (0.1, 0.1, 0.9)]
)
def test_levels_out_of_order_or_without_the_bounds_are_refused(levels: tuple[float, ...]) -> None:
    with pytest.raises(CalibrationError, match="levels="):
        fit(GOOD, levels=levels)


def test_nine_problems_are_enough() -> None:
    found = fit(answers(9, 20, seed=1)).estimate((0.5,), 1, True)
    assert 0 <= found.lower <= found.mean <= found.upper <= 1
