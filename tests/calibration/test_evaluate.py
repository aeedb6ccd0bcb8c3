import pytest
from sklearn.metrics import brier_score_loss

from adaptive_middleware.calibration.evaluate import evaluate, figures
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.errors import CalibrationError
from tests.calibration.world import Known, estimated


def test_every_kind_of_path_is_evaluated_beside_all(calibration: Calibration, held_out: list[Known]) -> None:
    rows = [one.example for one in held_out]
    found = evaluate(calibration, rows)
    assert set(found) == {"all", "question", "partial", "finished"}
    assert (
        found["all"].paths
        == len(rows)
        == sum(found[kind].paths for kind in ("question", "partial", "finished"))
    )
    assert found["all"].problems == found["question"].paths == 300


def test_raw_is_the_last_score_and_calibrated_the_mean(
    calibration: Calibration, held_out: list[Known]
) -> None:
    rows = [one.example for one in held_out if one.example.kind == "finished"]
    found = evaluate(calibration, rows)["finished"]
    right = [row.success for row in rows]
    assert found.brier_raw == pytest.approx(brier_score_loss(right, [row.scores[-1] for row in rows]))
    assert found.brier_calibrated == pytest.approx(
        brier_score_loss(right, [estimated(calibration, row).mean for row in rows])
    )


def test_calibration_at_least_halves_the_error(calibration: Calibration, held_out: list[Known]) -> None:
    found = evaluate(calibration, [one.example for one in held_out])["all"]
    assert found.ece_calibrated < found.ece_raw / 2
    assert found.ece_mass_calibrated < found.ece_mass_raw / 2
    assert found.positive_brier_calibrated < found.positive_brier_raw


def test_figures_are_flat_names_and_numbers(calibration: Calibration, held_out: list[Known]) -> None:
    found = evaluate(calibration, [one.example for one in held_out[:40]])
    flat = figures(found)
    assert flat["all.ece_raw"] == found["all"].ece_raw
    assert flat["partial.coverage.share"] == found["partial"].coverage.share
    assert all(isinstance(value, float | int) for value in flat.values())


def test_nothing_to_evaluate_is_an_error(calibration: Calibration) -> None:
    with pytest.raises(CalibrationError, match="no examples"):
        evaluate(calibration, [])
