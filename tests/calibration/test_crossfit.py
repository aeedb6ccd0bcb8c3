import pytest

from adaptive_middleware.calibration import metrics
from adaptive_middleware.calibration.crossfit import crossfit
from adaptive_middleware.calibration.fit import fit
from adaptive_middleware.errors import CalibrationError
from tests.calibration.world import answers, estimated, lengthy


def test_each_of_few_problems_gets_a_calibration_fitted_without_it() -> None:
    data = answers(12, 10, seed=2)
    fitted = crossfit(data, seed=5)
    assert set(fitted) == {row.group for row in data}
    for group in ("a2-0", "a2-7"):
        assert fitted[group] == fit([row for row in data if row.group != group], seed=5)


def test_many_problems_share_the_calibrations_of_their_folds() -> None:
    data = answers(60, 4, seed=2)
    fitted = crossfit(data, folds=4, seed=1)
    shared = {id(one): [g for g, other in fitted.items() if other is one] for one in fitted.values()}
    assert sorted(len(groups) for groups in shared.values()) == [15, 15, 15, 15]
    out = next(iter(shared.values()))
    assert fitted[out[0]] == fit([row for row in data if row.group not in out], seed=1)


def test_whole_answer_scores_are_calibrated_out_of_fold() -> None:
    data = answers(60, 12, seed=3)
    fitted = crossfit(data, folds=5)
    truth = [row.success for row in data]
    raw = metrics.ece_equal_mass([row.scores[-1] for row in data], truth)
    honest = metrics.ece_equal_mass([estimated(fitted[row.group], row).mean for row in data], truth)
    assert honest < 0.5 * raw


def test_levels_reach_every_fold() -> None:
    fitted = crossfit(answers(11, 10, seed=2), levels=(0.1, 0.9))
    assert {one.levels for one in fitted.values()} == {(0.1, 0.9)}


def test_the_asked_evidence_reaches_every_fold() -> None:
    fitted = crossfit(lengthy(21, 5, seed=2, weight=0.0), levels=(0.1, 0.9), evidence=("length",))
    assert all("any+length" in one.maps for one in fitted.values())


def test_one_fold_would_hold_nothing_out() -> None:
    with pytest.raises(CalibrationError, match="folds=1"):
        crossfit(answers(12, 10, seed=2), folds=1)


def test_too_few_problems_to_hold_one_out_are_named() -> None:
    with pytest.raises(CalibrationError, match="8 problems are too few"):
        crossfit(answers(9, 10, seed=2))
    with pytest.raises(CalibrationError, match="no examples"):
        crossfit([])
