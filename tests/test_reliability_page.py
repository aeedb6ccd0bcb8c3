"""docs/reliability.md: every fault case has a row, and every row a test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
CASES = {f"test_f{number:02}" for number in range(1, 37)}


def written() -> set[str]:
    """The numbers of all fault cases, as the names of tests have them."""
    files = (ROOT / "tests" / "faults").glob("test_*.py")
    return {
        name
        for file in files
        for name in re.findall(r"^(?:async )?def (test_f\d\d)_", file.read_text(), re.MULTILINE)
    }


def test_every_fault_case_has_a_test_and_a_row() -> None:
    assert written() == CASES
    assert set(re.findall(r"`(test_f\d\d)` \|$", PAGE, re.MULTILINE)) == CASES


def test_every_file_of_fault_cases_has_the_marker() -> None:
    for file in (ROOT / "tests" / "faults").glob("test_*.py"):
        assert "pytestmark = pytest.mark.fault" in file.read_text(), file.name
