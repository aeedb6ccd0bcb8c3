"""Reading quantiles: they never cross, agree with scipy, and an estimate keeps its promises."""

from math import exp, inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import beta

from adaptive_middleware.calibration.features import kind_of
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.scoring.quantiles import (
    FEATURES,
    crossing,
    described,
    kinds_of,
    quantile_estimate,
)
from adaptive_middleware.scoring.quantiles_reading import Correction, Reading, outputs_of
from adaptive_middleware.types import Path, StepScores

LEVELS = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
wild = st.floats(-50, 50)
ascending = st.lists(
    st.tuples(st.integers(-9, 9), st.floats(0, 1)), max_size=4, unique_by=lambda pair: pair[0]
).map(lambda pairs: tuple(zip(sorted(float(x) for x, _ in pairs), sorted(y for _, y in pairs), strict=True)))
correction = st.builds(
    Correction,
    slope=st.floats(0.05, 5),
    bias=st.floats(-4, 4),
    means=ascending,
    spread=st.floats(-4, 4),
    lower=st.floats(0.002, 0.45),
    upper=st.floats(0.55, 0.998),
)
weights = st.lists(st.floats(-5, 5), min_size=len(FEATURES), max_size=len(FEATURES)).map(tuple)


@given(data=st.data(), shape=st.sampled_from(["beta", "increments"]), one=correction)
def test_quantiles_never_cross_whatever_the_model_says(
    data: st.DataObject, shape: str, one: Correction
) -> None:
    count = outputs_of(shape, len(LEVELS))
    raw = data.draw(st.lists(st.lists(wild, min_size=count, max_size=count), min_size=1, max_size=5))
    told, scaled = (data.draw(st.lists(weights, min_size=count, max_size=count).map(tuple)) for _ in range(2))
    kinds = [data.draw(st.sampled_from(["question", "partial", "finished"])) for _ in raw]
    reading = Reading(shape, LEVELS, told, scaled, {"partial": one, "finished": one})
    features = np.array([described(kind, 3, (-2.0, -0.1)) for kind in kinds])
    means, quantiles = reading(np.array(raw), features, kinds)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert ((quantiles >= 0) & (quantiles <= 1)).all()
    for mean, row in zip(means.tolist(), quantiles.tolist(), strict=True):
        pairs = tuple(zip(LEVELS, row, strict=True))
        assert not crossing(pairs)
        estimate = quantile_estimate(Path(("a",)), StepScores((mean,), quantiles=(pairs,)))
        assert 0 <= estimate.lower <= estimate.mean <= estimate.upper <= 1
        assert estimate.quantiles == pairs


@given(values=st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_crossed_quantiles_are_sorted_and_the_bounds_hold_the_mean(values: list[float]) -> None:
    pairs = tuple(zip((0.1, 0.5, 0.9), values, strict=True))
    estimate = quantile_estimate(Path(("a",)), StepScores((values[1],), quantiles=(pairs,)))
    assert [value for _, value in estimate.quantiles] == sorted(values)
    assert estimate.lower <= estimate.mean == values[1] <= estimate.upper


def test_beta_quantiles_equal_scipy() -> None:
    raw = np.array([[0.4, 1.0], [-3.0, 3.0], [6.0, 0.0]])
    means, quantiles = Reading("beta", LEVELS)(raw, np.zeros((3, len(FEATURES))), ["partial"] * 3)
    assert means == pytest.approx(expit(raw[:, 0]))
    for mean, spread, row in zip(means, np.exp(raw[:, 1]), quantiles, strict=True):
        assert row == pytest.approx(beta.ppf(LEVELS, mean * spread, (1 - mean) * spread), abs=1e-9)


def test_a_correction_moves_mean_spread_and_levels_of_its_kind_only() -> None:
    one = Correction(slope=0.5, bias=0.2, spread=-1.0, lower=0.05, upper=0.95)
    reading = Reading("beta", (0.1, 0.5, 0.9), corrections={"finished": one})
    means, quantiles = reading(np.array([[1.0, 2.0]] * 2), np.zeros((2, 0)), ["finished", "partial"])
    assert means.tolist() == pytest.approx([expit(0.7), expit(1.0)])
    a, b = means[0] * np.e, (1 - means[0]) * np.e
    assert quantiles[0] == pytest.approx(beta.ppf([0.05, 0.5, 0.95], a, b))


def test_features_add_and_multiply() -> None:
    reading = Reading("independent", (0.1, 0.5, 0.9), ((1.0, 2.0),) * 3, ((0.0, 0.5),) * 3)
    found = reading.completed(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 2.0]]))
    assert found[0] == pytest.approx(np.array([1.0, 2.0, 3.0]) * np.e + 5.0)


def test_a_mean_curve_is_read_straight_between_its_points_and_flat_beyond() -> None:
    one = Correction(slope=2.0, means=((-1.0, 0.2), (1.0, 0.6)))
    reading = Reading("beta", (0.1, 0.5, 0.9), corrections={"partial": one})
    means, _ = reading(np.array([[-9.0, 1.0], [0.25, 1.0], [9.0, 1.0]]), np.zeros((3, 0)), ["partial"] * 3)
    assert means.tolist() == pytest.approx([0.2, 0.5, 0.6])


def test_increments_are_gaps_on_the_logit_scale() -> None:
    raw = np.array([[0.0, 1.0, 0.5, -1.0]])
    means, quantiles = Reading("increments", (0.1, 0.5, 0.9))(raw, np.zeros((1, 0)), ["partial"])
    below, above = 0.5 - np.log1p(exp(1.0)), 0.5 + np.log1p(exp(-1.0))
    assert means.tolist() == [0.5]
    assert quantiles[0] == pytest.approx(expit([below, 0.5, above]))


def test_independent_outputs_are_sigmoids_and_the_middle_one_is_the_mean() -> None:
    raw = np.array([[0.3, -0.2, 0.1]])
    means, quantiles = Reading("independent", (0.1, 0.5, 0.9))(raw, np.zeros((1, 0)), ["finished"])
    assert quantiles[0] == pytest.approx(expit(raw[0]))
    assert means.tolist() == pytest.approx([expit(-0.2)])


@pytest.mark.parametrize("said", [None, (((0.5, 0.2),),), (((0.1, 0.2), (0.5, 0.3)),)])
def test_scores_without_quantiles_are_refused(
    said: tuple[tuple[tuple[float, float], ...], ...] | None,
) -> None:
    with pytest.raises(
        CalibrationError, match=r"a path with 2 steps carry no quantiles at 0\.1 and 0\.9: score it"
    ):
        quantile_estimate(Path(("a", "b")), StepScores((0.2,), quantiles=said))


@given(steps=st.integers(0, 5), done=st.booleans())
def test_the_last_step_is_of_the_kind_that_calibration_sees(steps: int, done: bool) -> None:
    path = Path(("s",) * steps, done=done)
    found = kinds_of(path, 0, max(1, steps))
    assert found[-1] == (kind_of(steps, done), steps)
    assert all(kind == "partial" for kind, _ in found[:-1])
    assert kinds_of(path, steps - 1, 1)[-1] == found[-1]


@given(st.none() | st.lists(st.floats(-20, 0) | st.sampled_from([nan, -inf]), max_size=4).map(tuple))
def test_any_log_probabilities_give_finite_features(logprobs: tuple[float, ...] | None) -> None:
    assert all(abs(value) < 4 for value in described("finished", 2, logprobs))
