import json
from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from adaptive_middleware.calibration.vote_bundle import VoteBundle, load_votes, save_votes
from adaptive_middleware.calibration.votes import VoteCalibration
from adaptive_middleware.errors import BundleMismatch, CalibrationError
from adaptive_middleware.signed import digest

SMALL = VoteBundle("model/b", "0" * 64, VoteCalibration(-1.5, 1.0, 0.0, 0.7, 0.0), {"ece": 0.02})


def test_a_bundle_comes_back_as_it_was_and_is_the_same_file_again(tmp_path: Path) -> None:
    path = tmp_path / "votes.json"
    save_votes(SMALL, path)
    first = path.read_bytes()
    assert load_votes(path, generator="model/b") == SMALL
    save_votes(load_votes(path), path)
    assert path.read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == ["votes.json"]


def test_a_bundle_for_another_model_is_refused_by_both_names(tmp_path: Path) -> None:
    save_votes(SMALL, tmp_path / "votes.json")
    with pytest.raises(BundleMismatch, match="'model/b', but 'model/c' is in use"):
        load_votes(tmp_path / "votes.json", generator="model/c")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.update(format="adaptive-middleware calibration"), "not a calibration bundle"),
        (lambda c: c.update(schema=2), "schema 2"),
        (lambda c: c.pop("generator"), "lacks a part"),
        (lambda c: c["weights"].pop("share"), "lacks a part"),
        (lambda c: c["weights"].update(colour=1), "lacks a part"),
        (lambda c: c.update(weights=3), "lacks a part"),
        (lambda c: c["weights"].update(support=-0.1), "support=-0.1"),
    ],
)
def test_a_forged_bundle_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    path = tmp_path / "votes.json"
    save_votes(SMALL, path)
    content = json.loads(path.read_text())
    content.pop("sha256")
    change(content)
    path.write_text(json.dumps(content | {"sha256": digest(content)}))
    with pytest.raises(CalibrationError, match=says):
        load_votes(path)


def test_a_changed_or_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "votes.json"
    with pytest.raises(CalibrationError, match="no such calibration bundle"):
        load_votes(path)
    save_votes(SMALL, path)
    path.write_text(path.read_text().replace("-1.5", "1.5"))
    with pytest.raises(CalibrationError, match="sha256 differs"):
        load_votes(path)


@pytest.mark.parametrize(
    "bad",
    [
        replace(SMALL, calibration=VoteCalibration(nan, 1.0, 0.0, 0.0, 0.0)),
        replace(SMALL, calibration=VoteCalibration(0.0, -1.0, 0.0, 0.0, 0.0)),
        replace(SMALL, metrics={"ece": inf}),
    ],
)
def test_a_bundle_that_could_not_be_loaded_is_not_written(tmp_path: Path, bad: VoteBundle) -> None:
    path = tmp_path / "votes.json"
    save_votes(SMALL, path)
    with pytest.raises(CalibrationError):
        save_votes(bad, path)
    assert load_votes(path) == SMALL
