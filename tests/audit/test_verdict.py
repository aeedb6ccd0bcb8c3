from dataclasses import replace

import numpy as np
import pytest

from adaptive_middleware.audit.drift import Drift
from adaptive_middleware.audit.error import Bias, Miscalibration
from adaptive_middleware.audit.evidence import Evidence
from adaptive_middleware.audit.findings import Findings, findings
from adaptive_middleware.audit.lower import LowerCoverage
from adaptive_middleware.audit.verdict import verdict
from tests.audit.world import judged

SURE = Bias(0.0, -0.01, 0.01)
FINE = Findings(
    problems=100,
    error=Miscalibration(0.02, 0.0, 0.04, 0.5),
    bias=SURE,
    brier=0.1,
    test=Evidence(0.5, 0.0, 1.0),
    coverage=LowerCoverage(0.9, 0.88, 0.92),
    drift=Drift(0.5, 10, SURE, SURE, 0.5),
)
OFF = Bias(0.2, 0.1, 0.3)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (replace(FINE, test=Evidence(0.009, 0, 1), error=Miscalibration(0.04, 0.0, 0.08, 0.5)), "test"),
        (replace(FINE, error=Miscalibration(0.08, 0.031, 0.1, 0.009)), "error"),
        (replace(FINE, coverage=LowerCoverage(0.8, 0.7, 0.869)), "coverage"),
        (replace(FINE, drift=Drift(0.009, 50, SURE, OFF, 0.5)), "drift"),
        (replace(FINE, drift=Drift(0.009, 50, SURE, Bias(-0.2, -0.3, -0.1), 0.5)), "drift"),
    ],
)
def test_an_error_that_is_certain_and_large_is_the_reason(found: Findings, reason: str) -> None:
    made = verdict(found)
    assert not made.holds
    assert [text.split(":")[0] for text in made.reasons] == [reason]
    assert verdict(found, tolerance=0.5).holds


@pytest.mark.parametrize(
    "found",
    [
        FINE,
        replace(FINE, coverage=None, drift=None),
        replace(FINE, test=Evidence(0.009, 0, 1)),
        replace(FINE, error=Miscalibration(0.2, 0.0, 0.4, 0.001)),
        replace(FINE, error=Miscalibration(0.2, 0.1, 0.4, 0.02)),
        replace(FINE, coverage=LowerCoverage(0.8, 0.7, 0.88)),
        replace(FINE, coverage=LowerCoverage(1.0, 0.99, 1.0)),
        replace(FINE, drift=Drift(0.009, 50, OFF, SURE, 0.001)),
        replace(FINE, drift=Drift(0.5, 50, SURE, OFF, 0.001)),
    ],
)
def test_what_is_small_or_uncertain_is_none(found: Findings) -> None:
    made = verdict(found)
    assert made.holds
    assert made.reasons == ()
    assert made.need is None


def test_too_few_problems_hold_and_say_how_many_are_needed() -> None:
    awful = replace(FINE, problems=9, test=Evidence(0.0, 0, 1), error=Miscalibration(0.5, 0.4, 0.6, 0.001))
    made = verdict(awful)
    assert made.holds
    assert made.need == 10
    unsure = verdict(replace(FINE, problems=20, bias=Bias(0.1, -0.1, 0.3)))
    assert unsure.holds
    assert unsure.need == 80


def test_a_certain_error_is_told_however_wide_the_bias() -> None:
    made = verdict(replace(FINE, coverage=LowerCoverage(0.5, 0.4, 0.6), bias=Bias(0.2, 0.0, 0.4)))
    assert not made.holds
    assert made.need is None


@pytest.mark.parametrize(("problems", "each", "shared"), [(20, 8, 0.3), (40, 12, 0.6), (200, 1, 0.0)])
def test_a_calibration_that_is_right_is_flagged_in_less_than_five_percent(
    problems: int, each: int, shared: float
) -> None:
    flagged = [
        not verdict(findings(judged(problems, each, seed, shared=shared), None, seed, ordered=True)).holds
        for seed in range(40)
    ]
    assert np.mean(flagged) <= 0.05


@pytest.mark.parametrize("wrong", [{"shift": 1.0}, {"slope": 0.4}, {"late": 2.5}])
def test_a_calibration_that_is_wrong_is_flagged(wrong: dict[str, float]) -> None:
    for seed in range(4):
        assert not verdict(findings(judged(200, 8, seed, **wrong), None, seed, ordered=True)).holds
