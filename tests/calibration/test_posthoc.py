from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_middleware.belief import from_estimate
from adaptive_middleware.calibration.posthoc import Calibration, QuantileMap
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.types import Estimate, Path, StepScores, Usage

LEVELS = (0.1, 0.5, 0.9)
scores = st.lists(st.floats(0, 1), min_size=1, max_size=8)
logprobs = st.none() | st.lists(st.floats(-40, 0), max_size=8).map(tuple)


@st.composite
def maps(draw: Callable[..., list[float]]) -> QuantileMap:
    """Curves as a fit may make them: rising along the knots and with the level."""
    knots = sorted(draw(st.sets(st.integers(-50, 50), min_size=1, max_size=6)))
    rises = st.lists(st.floats(0, 1), min_size=len(knots), max_size=len(knots))
    rows = np.maximum.accumulate(np.sort(np.array([draw(rises) for _ in LEVELS]), axis=0), axis=1)
    return QuantileMap(
        ("last", "min"), (0.7, 0.2), 0.1, tuple(float(k) for k in knots),
        tuple(rows[1].tolist()), tuple(tuple(row) for row in rows.tolist()),
    )  # fmt: skip


CURVES = QuantileMap(("last",), (1.0,), 0.0, (-1.0, 1.0), (0.2, 0.6), ((0.1, 0.3), (0.2, 0.6), (0.4, 0.8)))


def test_the_curves_are_linear_between_knots_and_constant_beyond() -> None:
    mean, quantiles = CURVES.at(0.5)
    assert (mean, *quantiles) == pytest.approx((0.5, 0.25, 0.5, 0.7))
    assert CURVES.at(-1.0) == CURVES.at(-99.0) == (0.2, (0.1, 0.2, 0.4))
    assert CURVES.at(1.0) == CURVES.at(99.0) == (0.6, (0.3, 0.6, 0.8))


@given(maps(), st.floats(-60, 60))
def test_the_curves_agree_with_numpy(found: QuantileMap, index: float) -> None:
    mean, quantiles = found.at(index)
    assert mean == pytest.approx(np.interp(index, found.knots, found.means), abs=1e-12)
    assert quantiles == pytest.approx(
        [np.interp(index, found.knots, row) for row in found.quantiles], abs=1e-12
    )


@given(maps(), scores, st.integers(0, 9), st.booleans(), logprobs)
def test_quantiles_never_cross_and_stay_in_the_unit_interval(
    found: QuantileMap, values: list[float], steps: int, done: bool, tokens: tuple[float, ...] | None
) -> None:
    estimate = Calibration(LEVELS, {"any": found}).estimate(values, steps, done, tokens)
    ordered = [value for _, value in estimate.quantiles]
    assert [level for level, _ in estimate.quantiles] == list(LEVELS)
    assert ordered == sorted(ordered)
    assert all(0 <= value <= 1 for value in ordered)
    assert (estimate.lower, estimate.upper) == (ordered[0], ordered[-1])


@given(maps(), st.floats(-60, 60), st.floats(0, 20))
def test_every_curve_rises_with_the_index(found: QuantileMap, index: float, more: float) -> None:
    low, high = found.at(index), found.at(index + more)
    assert low[0] <= high[0] + 1e-12
    assert all(a <= b + 1e-12 for a, b in zip(low[1], high[1], strict=True))


@given(scores, st.integers(0, 7), st.floats(0, 1), st.booleans())
def test_a_higher_score_never_lowers_a_fitted_estimate(
    calibration: Calibration, values: list[float], where: int, higher: float, done: bool
) -> None:
    raised = list(values)
    raised[where % len(values)] = max(higher, values[where % len(values)])
    before = calibration.estimate(values, len(values), done)
    after = calibration.estimate(raised, len(values), done)
    assert before.mean <= after.mean + 1e-9
    assert before.lower <= after.lower + 1e-9


@given(scores, st.integers(0, 9), st.booleans(), logprobs)
def test_a_fitted_estimate_is_ordered_deterministic_and_holds_its_mean(
    calibration: Calibration, values: list[float], steps: int, done: bool, tokens: tuple[float, ...] | None
) -> None:
    estimate = calibration.estimate(values, steps, done, tokens)
    ordered = [value for _, value in estimate.quantiles]
    assert ordered == sorted(ordered)
    assert all(0 <= value <= 1 for value in ordered)
    assert estimate.lower <= estimate.mean + 1e-12
    assert estimate.mean <= estimate.upper + 1e-12
    assert estimate == calibration.estimate(values, steps, done, tokens)


def test_a_calibration_is_a_calibrator_of_paths() -> None:
    calibration = Calibration(LEVELS, {"any": CURVES})
    path = Path(("a", "b"), done=False, logprobs=(-0.1, -0.2, -0.3))
    estimate = calibration(path, StepScores((0.2, 0.5)))
    assert (estimate.mean, estimate.lower, estimate.upper) == pytest.approx((0.4, 0.2, 0.6))
    assert estimate.quantiles == tuple(zip(LEVELS, CURVES.at(0.0)[1], strict=True))


def test_left_truncated_scores_are_calibrated_with_the_paths_own_step_count(calibration: Calibration) -> None:
    path = Path(("a", "b", "c"), done=False)
    cut = calibration(path, StepScores((0.6, 0.7), first=1))
    assert cut == calibration.estimate((0.6, 0.7), 3, False)


def test_the_most_specific_map_serves() -> None:
    named = dict.fromkeys(("question", "partial", "partial+logprobs", "any", "any+logprobs"), CURVES)
    calibration = Calibration(LEVELS, named)
    assert calibration.map_for("partial", logprobs=True) == "partial+logprobs"
    assert calibration.map_for("partial", logprobs=False) == "partial"
    assert calibration.map_for("finished", logprobs=True) == "any+logprobs"
    assert calibration.map_for("finished", logprobs=False) == "any"
    assert calibration.map_for("question", logprobs=False) == "question"


def test_log_probabilities_change_a_fitted_estimate_and_their_absence_does_not_hurt(
    calibration: Calibration,
) -> None:
    values = (0.7, 0.6)
    sure, unsure = (calibration.estimate(values, 2, False, (low, low / 3)) for low in (-0.01, -4.0))
    assert unsure.mean < sure.mean
    without = calibration.estimate(values, 2, False)
    assert (
        without
        == calibration.estimate(values, 2, False, ())
        == calibration.estimate(values, 2, False, (float("nan"),))
    )


def test_the_most_specific_map_with_a_length_serves() -> None:
    named = dict.fromkeys(("partial", "partial+length", "any", "any+logprobs+length", "any+length"), CURVES)
    calibration = Calibration(LEVELS, named)
    assert calibration.map_for("partial", logprobs=True, length=True) == "partial+length"
    assert calibration.map_for("finished", logprobs=True, length=True) == "any+logprobs+length"
    assert calibration.map_for("finished", logprobs=False, length=True) == "any+length"
    assert calibration.map_for("finished", logprobs=True) == "any"


def test_a_path_is_read_with_its_own_length_and_without_one_by_the_plain_map(
    long_and_wrong: Calibration,
) -> None:
    def read(tokens: int) -> Estimate:
        path = Path(("an answer",), usage=Usage(completion_tokens=tokens))
        return long_and_wrong(path, StepScores((0.6,)))

    assert read(400).mean < read(40).mean
    assert read(40) == long_and_wrong.estimate((0.6,), 1, True, None, 40)
    assert read(0) == long_and_wrong.estimate((0.6,), 1, True)
    assert long_and_wrong.estimate((0.6,), 0, False, None, 40) == long_and_wrong.estimate((0.6,), 0, False)


@given(scores, st.integers(0, 7), st.floats(0, 1), st.integers(0, 10**6))
def test_a_higher_score_never_lowers_an_estimate_that_reads_the_length(
    long_and_wrong: Calibration, values: list[float], where: int, higher: float, tokens: int
) -> None:
    raised = list(values)
    raised[where % len(values)] = max(higher, values[where % len(values)])
    before = long_and_wrong.estimate(values, len(values), True, None, tokens)
    after = long_and_wrong.estimate(raised, len(values), True, None, tokens)
    assert before.mean <= after.mean + 1e-9
    assert [value for _, value in before.quantiles] == sorted(value for _, value in before.quantiles)
    assert before.lower - 1e-12 <= before.mean <= before.upper + 1e-12


def test_a_question_has_no_log_probabilities(calibration: Calibration) -> None:
    assert calibration.estimate((0.4,), 0, True, (-1.0, -0.5)) == calibration.estimate((0.4,), 0, False)


def test_a_belief_reads_a_fitted_estimate_and_keeps_its_mean(calibration: Calibration) -> None:
    for score in (0.02, 0.5, 0.98):
        estimate = calibration.estimate((score,), 0, False)
        assert from_estimate(estimate).mean == pytest.approx(estimate.mean, abs=0.03)


@pytest.mark.parametrize("values", [(), (float("nan"),), (0.5, 1.01)])
def test_scores_that_were_not_rejected_in_time_are_an_error(
    calibration: Calibration, values: tuple[float, ...]
) -> None:
    with pytest.raises(CalibrationError):
        calibration(Path(("a",)), StepScores(values))
