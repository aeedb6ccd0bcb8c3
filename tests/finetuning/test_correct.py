"""Corrections: they find what was wrong with a reading, and their quantiles cover on problems they have not seen."""

import numpy as np
import pytest
from scipy.special import expit, logit

from adaptive_middleware.calibration.coverage import coverage_of
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.finetuning.correct import corrections
from adaptive_middleware.scoring.quantiles import quantile_estimate
from adaptive_middleware.scoring.quantiles_reading import Floats, Reading
from adaptive_middleware.types import Path, StepScores

LEVELS = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


def simulated(problems: int, seed: int, shape: str) -> tuple[Floats, list[Example]]:
    """An over-confident model: logits twice too large and shifted, spread four times too narrow (a + b = 8 in truth)."""
    rng = np.random.default_rng(seed)
    rows, examples = [], []
    for problem in range(problems):
        for steps in (0, 1, 2):
            mean = rng.uniform(0.05, 0.95)
            p = rng.beta(mean * 8, (1 - mean) * 8)
            right = int(rng.binomial(16, p))
            said = 2 * logit(mean) + 0.8
            rows.append(
                [said, np.log(32)] if shape == "beta" else [said, 0.0, -0.5, -0.5, said, -0.5, -0.5, 0.0]
            )
            examples.append(Example((0.5,), steps, False, None, right / 16, 16, f"{seed}-{problem}"))
    return np.array(rows), examples


def estimates(reading: Reading, raw: Floats, examples: list[Example]) -> tuple[Floats, float]:
    means, quantiles = reading(raw, np.zeros((len(raw), 0)), [e.kind for e in examples])
    pairs = [tuple(zip(reading.levels, row, strict=True)) for row in quantiles.tolist()]
    found = [
        quantile_estimate(Path(), StepScores((m,), quantiles=(pair,)))
        for m, pair in zip(means.tolist(), pairs, strict=True)
    ]
    return means, coverage_of(found, examples).share


@pytest.mark.parametrize("shape", ["beta", "increments"])
def test_an_over_confident_model_covers_after_its_correction(shape: str) -> None:
    plain = Reading(shape, LEVELS)
    corrected = Reading(shape, LEVELS, corrections=corrections(plain, *simulated(150, 1, shape)))
    raw, unseen = simulated(400, 2, shape)
    means, covered = estimates(corrected, raw, unseen)
    assert covered == pytest.approx(0.9, abs=0.025)
    assert abs(estimates(plain, raw, unseen)[1] - 0.9) > 0.04
    assert means == pytest.approx(expit((raw[:, 0] - 0.8) / 2), abs=0.1)
    assert np.abs(means - expit((raw[:, 0] - 0.8) / 2)).mean() < 0.03


def test_the_spread_is_found_too() -> None:
    found = corrections(Reading("beta", LEVELS), *simulated(400, 3, "beta"))["partial"]
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.bias == pytest.approx(-0.4, abs=0.1)
    assert found.spread == pytest.approx(np.log(8 / 32), abs=0.25)
    assert found.lower == pytest.approx(0.1, abs=0.03)


def test_a_kind_with_little_data_gets_the_general_correction() -> None:
    raw, examples = simulated(40, 1, "beta")
    found = corrections(Reading("beta", LEVELS), raw, examples)
    assert found["finished"] == found["question"]  # neither has 60 paths
    assert found["finished"] != found["partial"]


def test_without_nine_problems_there_is_no_bound() -> None:
    with pytest.raises(CalibrationError, match=r"8 problems are kept from training.*at least 9 are needed"):
        corrections(Reading("beta", LEVELS), *simulated(8, 1, "beta"))
