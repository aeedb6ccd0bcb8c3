"""Fits that several tests read."""

import pytest

from adaptive_middleware.calibration.fit import fit
from adaptive_middleware.calibration.posthoc import Calibration
from tests.calibration.world import Known, answers, examples, lengthy, world


@pytest.fixture(scope="session")
def calibration() -> Calibration:
    return fit(examples(200, seed=1))


@pytest.fixture(scope="session")
def held_out() -> list[Known]:
    return world(300, seed=99)


@pytest.fixture(scope="session")
def long_and_wrong() -> Calibration:
    return fit(lengthy(100, 8, seed=1, weight=-1.0))


@pytest.fixture(scope="session")
def answer_calibration() -> Calibration:
    return fit(answers(100, 8, seed=1))
