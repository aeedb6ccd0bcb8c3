"""A calibration that fits the made-up traffic, as a bundle file."""

from pathlib import Path

import pytest

from adaptive_middleware.calibration.bundle import Bundle, save
from adaptive_middleware.calibration.fit import fit
from tests.calibration.world import answers


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bundle") / "bundle.json"
    save(Bundle("prm-x", "model-y", "0" * 64, fit(answers(150, 8, seed=1)), {}), file)
    return file
