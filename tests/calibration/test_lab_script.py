import gzip
import hashlib
import json
from pathlib import Path

import pytest

from adaptive_middleware.calibration.bundle import load
from adaptive_middleware.calibration.evaluate import evaluate
from adaptive_middleware.calibration.examples import fingerprint, read
from adaptive_middleware.calibration.posthoc import Calibration
from adaptive_middleware.errors import CalibrationError
from bench.lab.calibrate import main, model_id, table
from tests.calibration.world import Known, examples


def written(path: Path, problems: int, seed: int) -> Path:
    rows = [
        {
            "problem": e.group, "level": 1, "steps": ["x\n"] * e.steps, "scores": e.scores, "done": e.done,
            "success": e.right, "rollouts": e.trials, "logprobs": e.logprobs,
        }
        for e in examples(problems, seed)
    ]  # fmt: skip
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    return path


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    fit, held_out = written(tmp_path / "a.jsonl.gz", 15, 1), written(tmp_path / "b.jsonl.gz", 80, 2)
    out = str(tmp_path / "calibration.json")
    return [
        "--fit",
        str(fit),
        "--held-out",
        str(held_out),
        "--out",
        out,
        "--prm",
        "lab/prm",
        "--generator",
        "lab/policy",
    ]


def test_the_script_writes_a_bundle_and_prints_its_figures(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    bundle = load(tmp_path / "calibration.json", prm="lab/prm", generator="lab/policy")
    assert printed["partial"]["coverage"]["share"] == bundle.metrics["partial.coverage.share"]
    assert printed["all"]["ece_calibrated"] < printed["all"]["ece_raw"]
    assert bundle.metrics["fit.problems"] == 15
    assert bundle.data_sha256 == fingerprint(read(tmp_path / "a.jsonl.gz"))


def test_the_table_has_a_line_for_each_kind(calibration: Calibration, held_out: list[Known]) -> None:
    lines = table(evaluate(calibration, [one.example for one in held_out[:200]])).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["all", "question", "partial", "finished"]


def test_without_json_the_table_is_printed(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(options) == 0
    assert "10 % bound covers" in capsys.readouterr().out


def test_problems_on_both_sides_are_refused(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "--held-out", str(tmp_path / "a.jsonl.gz")]) == 1
    assert "15 problems are both fitted and held out" in capsys.readouterr().err
    assert not (tmp_path / "calibration.json").exists()


def test_a_model_is_named_by_its_weights(tmp_path: Path) -> None:
    folder = tmp_path / "prm"
    with pytest.raises(CalibrationError, match=r"model\.safetensors: no such file"):
        model_id(folder)
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    assert model_id(folder) == f"lab/prm@{hashlib.sha256(b'weights').hexdigest()[:12]}"
