import numpy as np
import pytest
from scipy.stats import bootstrap, norm

from adaptive_middleware.pictures.resamples import resampled


def names(count: int) -> list[str]:
    return [f"p{i:03}" for i in range(count)]


def test_with_one_row_a_problem_the_interval_is_scipys_percentile_bootstrap() -> None:
    values = np.random.default_rng(3).random(80) ** 2
    found = resampled(names(80)).interval(values, np.ones(80))
    expected = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    )
    assert found == pytest.approx(tuple(expected.confidence_interval), abs=0.006)


def test_the_interval_is_the_normal_one_for_many_problems() -> None:
    values = np.random.default_rng(4).random(2000)
    low, high = resampled(names(2000)).interval(values, np.ones(2000))
    error = values.std() / np.sqrt(2000)
    assert (low, high) == pytest.approx(norm.interval(0.95, values.mean(), error), abs=0.2 * error)


def test_rows_of_one_problem_stay_together() -> None:
    values = np.random.default_rng(5).random(40)
    single = resampled(names(40)).interval(values, np.ones(40))
    copies = resampled(np.repeat(names(40), 25).tolist()).interval(np.repeat(values, 25), np.ones(1000))
    assert copies == pytest.approx(single)


def test_a_row_without_weight_changes_nothing() -> None:
    values = np.random.default_rng(6).random(30)
    groups = [name for name in names(30) for _ in range(2)]
    mixed = np.column_stack([values, np.full(30, 0.9)]).ravel()
    weights = np.tile([1.0, 0.0], 30)
    assert resampled(groups).interval(mixed, weights) == pytest.approx(
        resampled(names(30)).interval(values, np.ones(30))
    )


def test_weights_count_as_rows() -> None:
    values = np.random.default_rng(7).random(20)
    weights = np.arange(1, 21)
    repeated = resampled(np.repeat(names(20), weights).tolist())
    assert resampled(names(20)).interval(values, weights.astype(float)) == pytest.approx(
        repeated.interval(np.repeat(values, weights), np.ones(weights.sum()))
    )


@pytest.mark.parametrize(("problems", "told"), [(4, False), (5, True)])
def test_fewer_than_five_problems_give_no_interval(problems: int, told: bool) -> None:
    groups = names(problems) * 3 + ["other"] * 8
    weights = np.array([1.0] * 3 * problems + [0.0] * 8)
    low, high = resampled(groups).interval(np.arange(len(groups), dtype=float), weights)
    assert (low < high) is told
    assert np.isnan([low, high]).all() != told


def test_the_seed_decides() -> None:
    assert (resampled(names(9), 1).times == resampled(names(9), 1).times).all()
    assert (resampled(names(9), 1).times != resampled(names(9), 2).times).any()
