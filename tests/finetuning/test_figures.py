"""The figures are those of the calibration package, on estimates instead of a calibration."""

import pytest
from sklearn.metrics import mean_pinball_loss

from adaptive_middleware.calibration.coverage import coverage_lower, coverage_of
from adaptive_middleware.calibration.evaluate import evaluate
from adaptive_middleware.calibration.fit import fit
from adaptive_middleware.finetuning.figures import figures, flat
from tests.calibration.world import examples


def test_figures_equal_those_of_a_post_hoc_calibration() -> None:
    calibration, held_out = fit(examples(40, seed=1)), examples(40, seed=2)
    estimates = [calibration.estimate(e.scores, e.steps, e.done, e.logprobs) for e in held_out]
    found = figures(estimates, [e.quantiles for e in estimates], held_out)
    known = evaluate(calibration, held_out)
    assert list(found) == list(known)
    for kind, one in found.items():
        assert (one.problems, one.paths) == (known[kind].problems, known[kind].paths)
        assert one.ece == pytest.approx(known[kind].ece_calibrated, abs=1e-12)
        assert one.brier == pytest.approx(known[kind].brier_calibrated, abs=1e-12)
        assert one.coverage == pytest.approx(known[kind].coverage.share, abs=1e-12)
        assert one.coverage_error == pytest.approx(known[kind].coverage.error, abs=1e-12)
    truth = [e.success for e in held_out]
    levels = (0.1, 0.5, 0.9)
    theirs = [mean_pinball_loss(truth, [dict(e.quantiles)[q] for e in estimates], alpha=q) for q in levels]
    assert found["all"].pinball == pytest.approx(sum(theirs) / 3, abs=1e-12)
    assert coverage_of(estimates, held_out) == coverage_lower(calibration, held_out)
    assert flat(found)["all.ece"] == found["all"].ece


def test_kinds_that_do_not_occur_are_left_out() -> None:
    held_out = [e for e in examples(10, seed=2) if e.kind == "finished"]
    calibration = fit(examples(40, seed=1))
    estimates = [calibration.estimate(e.scores, e.steps, e.done, e.logprobs) for e in held_out]
    assert list(figures(estimates, [e.quantiles for e in estimates], held_out)) == ["all", "finished"]


def test_crossing_is_counted_as_the_model_said_it() -> None:
    held_out = examples(10, seed=2)
    calibration = fit(examples(40, seed=1))
    estimates = [calibration.estimate(e.scores, e.steps, e.done, e.logprobs) for e in held_out]
    said = [((0.1, 0.9), (0.9, 0.1))] + [((0.1, 0.1), (0.9, 0.9))] * (len(held_out) - 1)
    assert figures(estimates, said, held_out)["all"].crossing == pytest.approx(1 / len(held_out))
