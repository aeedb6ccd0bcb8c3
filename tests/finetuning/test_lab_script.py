"""`python -m bench.lab.finetune` on a few of the lab's problems, with the shipped model."""

import gzip
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from adaptive_middleware.finetuning.recipes import MONOTONE, PARK_2025
from bench.lab import finetune, paths


def few(folder: Path, name: str, problems: int) -> Path:
    """The first two prefixes of some problems, and a right and a wrong finished answer where there are both."""
    of: defaultdict[str, dict[object, str]] = defaultdict(dict)
    for line in (
        gzip.decompress((paths.DATA / f"{name}_prefixes.jsonl.gz").read_bytes()).decode().splitlines()
    ):
        row = json.loads(line)
        of[row["problem"]].setdefault((row["done"], row["success"] > 0, len(row["steps"]) > 0), line)
    lines = [line for rows in list(of.values())[:problems] for line in rows.values()]
    (folder / f"{name}.jsonl").write_text("\n".join(lines))
    return folder / f"{name}.jsonl"


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    quick = (replace(PARK_2025, epochs=1), replace(MONOTONE, epochs=0, folds=0))
    monkeypatch.setattr(finetune, "_RECIPES", quick)
    monkeypatch.setattr(finetune, "_SHAPES", {"beta": quick[1]})
    fit, held_out = few(tmp_path, "calibration", 14), few(tmp_path, "heldout", 9)
    return ["--fit", str(fit), "--held-out", str(held_out), "--out", str(tmp_path / "out.json")]


def test_every_way_to_calibrate_is_measured_by_kind(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune.main(options) == 0
    said = capsys.readouterr()
    found = json.loads((tmp_path / "out.json").read_text())
    names = ["uncalibrated", "post-hoc", "post-hoc, scores only", "park-2025", "monotone"]
    assert list(dict.fromkeys(row["calibration"] for row in found)) == names
    assert len(found) == 4 * len(names)
    assert all(line in said.out for line in names)
    assert "park-2025: all problems: epoch 1/1: loss" in said.err
    assert all(row["crossing"] == 0 for row in found if row["calibration"] == "monotone")


def test_shapes_are_compared_on_calibration_problems_and_nothing_is_written(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune.main([*options, "--shapes", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["calibration"] for row in found} == {"beta"}
    assert not (tmp_path / "out.json").exists()


def test_problems_on_both_sides_are_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert finetune.main([*options, "--held-out", options[1]]) == 1
    assert "14 problems are both fitted and held out" in capsys.readouterr().err
