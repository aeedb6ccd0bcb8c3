"""Three reports that several tests read."""

from pathlib import Path

import pytest

from adaptive_middleware.calibration.fit import fit
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.pictures import calibration_report, calls_report, leaderboard_report
from tests.calibration.world import examples
from tests.pictures.kept import call
from tests.pictures.rows import HOSTILE, ROWS


@pytest.fixture(scope="session")
def calibration() -> Calibration:
    return fit(examples(60, seed=1))


@pytest.fixture(scope="session")
def calibration_page(tmp_path_factory: pytest.TempPathFactory, calibration: Calibration) -> Path:
    return calibration_report(
        tmp_path_factory.mktemp("calibration"),
        title=f"A calibration {HOSTILE}",
        facts=[("Process reward model", HOSTILE), ("Generator", "made up")],
        calibration=calibration,
        held_out=examples(40, seed=2),
        notes=[f"A note {HOSTILE}"],
    )


@pytest.fixture(scope="session")
def leaderboard_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("leaderboard")
    return leaderboard_report(out, title="A leaderboard", rows=ROWS, notes=["A note"])


@pytest.fixture(scope="session")
def calls_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("calls") / "calls.html"
    calls_report(out, title=f"Calls {HOSTILE}", calls=[call(number) for number in range(40)])
    return out


@pytest.fixture(params=["calibration_page", "leaderboard_page", "calls_page"])
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path
