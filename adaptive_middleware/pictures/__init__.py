"""Pictures: charts with their tables, and one self-contained page for people.

Needs matplotlib, which the extra `report` installs.
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("matplotlib") is None:
    message = "matplotlib is not installed, and reports are drawn with it: pip install 'adaptive-middleware[report]'"
    raise ModuleNotFoundError(message, name="matplotlib")

from adaptive_middleware.pictures.calibration_page import calibration_report
from adaptive_middleware.pictures.calls_page import calls_report
from adaptive_middleware.pictures.leaderboard_page import leaderboard_report

__all__ = ["calibration_report", "calls_report", "leaderboard_report"]
