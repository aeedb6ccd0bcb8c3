"""`doctor`: every part of a configuration is tried, every failure has its fix, and the exit status says whether one failed."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adaptive_middleware import lab
from adaptive_middleware.calibration import bundle
from adaptive_middleware.cli import app
from adaptive_middleware.cli.doctor import _fitting as fitting
from adaptive_middleware.config import load
from adaptive_middleware.doctor import parts
from adaptive_middleware.scoring.quantiles import quantile_estimate
from adaptive_middleware.testing.fake_openai import fake_openai
from tests.doctor.asking import POLICIES, examined

CONSTANT = 'prm: {kind: python, target: "tests.config.parts:Scores"}\n'


def test_without_a_configuration_only_the_machine_is_examined() -> None:
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0
    assert "config" in done.stdout
    assert "calibration" not in done.stdout


def test_a_good_configuration_is_used_once_and_passes(tmp_path: Path) -> None:
    with fake_openai() as server:
        status, found = examined(tmp_path, f"upstream: {{base_url: '{server.url}'}}\n{CONSTANT}{POLICIES}")
        assert (server.calls, server.choices) == ([], 0)
    assert status == 0
    assert found["upstream"][0]["what"].startswith(f"{server.url}/models answers in ")
    assert found["prm"][0]["what"].startswith("scored a small answer in ")
    assert found["policies"][0]["what"] == "made: default"
    assert [each["status"] for each in found["calibration"]] == ["warn"]
    assert (
        "room for about" not in found["open files"][0]["what"]
        or "3 samples" in found["open files"][0]["what"]
    )


def test_the_store_of_calls_is_examined_with_its_disk(tmp_path: Path) -> None:
    _, found = examined(tmp_path, f"trace: {{path: kept/traces.db}}\n{POLICIES}")
    assert found["trace store"][0]["what"] == f"{tmp_path}/kept/traces.db will be made with the first call"
    assert not (tmp_path / "kept").exists()


def test_all_that_is_wrong_with_the_file_is_said(tmp_path: Path) -> None:
    status, found = examined(tmp_path, "prn: {kind: lab}\npolicies: {default: {strategy: best-of-m}}\n")
    assert status == 1
    assert "prn" in found["config"][0]["what"]
    assert "best-of-m" in found["config"][0]["what"]
    assert "prm" not in found


def test_a_file_that_is_not_there_fails_and_the_machine_is_examined_all_the_same(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", "--config", str(tmp_path / "none.yaml")])
    assert done.exit_code == 1
    assert "python" in done.stdout
    assert "fix: name a readable" in done.stdout


@pytest.mark.parametrize(
    ("prm", "said"),
    [
        ('target: "tests.config.parts:broken"', "RuntimeError: the user's own error"),
        ('target: "tests.config.nowhere:Scores"', "cannot be imported"),
        ('target: "tests.config.parts:Scores", args: {value: 7.0}', "score 7.0 is not in [0, 1]"),
        ('target: "tests.doctor.parts:Failing"', "ZeroDivisionError: by zero"),
        ('target: "tests.doctor.parts:Silent"', "returned 0 score sets for 1 paths"),
    ],
)
def test_a_scorer_that_cannot_be_made_or_used_fails(tmp_path: Path, prm: str, said: str) -> None:
    status, found = examined(tmp_path, f"prm: {{kind: python, {prm}}}\n{POLICIES}")
    assert status == 1
    assert said in found["prm"][0]["what"]
    assert found["policies"][0]["status"] == "ok"


def test_a_calibration_of_another_model_fails_with_both_names(tmp_path: Path) -> None:
    papers = bundle.load(lab.CALIBRATION)
    status, found = examined(tmp_path, f"{CONSTANT}calibration: lab\n{POLICIES}")
    assert status == 1
    assert papers.prm in found["calibration"][0]["what"]
    assert "'constant'" in found["calibration"][0]["what"]
    assert "calibrate" in found["calibration"][0]["fix"]


def test_a_calibration_of_an_unknown_generator_is_a_warning_until_it_is_named(tmp_path: Path) -> None:
    papers = bundle.load(lab.CALIBRATION)
    scores = f'prm: {{kind: python, target: "tests.config.parts:Scores", args: {{id: "{papers.prm}"}}}}\n'
    _, found = examined(tmp_path, f"{scores}calibration: lab\n{POLICIES}")
    assert (found["calibration"][0]["status"], papers.generator in found["calibration"][0]["what"]) == (
        "warn",
        True,
    )
    _, found = examined(tmp_path, f"{scores}calibration: lab\ngenerator: {papers.generator!r}\n{POLICIES}")
    assert found["calibration"][0]["status"] == "ok"
    status, found = examined(tmp_path, f"{scores}calibration: lab\ngenerator: other\n{POLICIES}")
    assert (status, "'other' is in use" in found["calibration"][0]["what"]) == (1, True)


def test_a_policy_of_ones_own_that_cannot_be_made_fails(tmp_path: Path) -> None:
    own = "policies: {default: {strategy: best-of-n, policy: {kind: python, target: 'tests.config.parts:nothing'}}}\n"
    status, found = examined(tmp_path, own)
    assert (status, found["policies"][0]["status"]) == (1, "fail")
    assert "adaptive.yaml:2:" in found["policies"][0]["what"]


def test_what_a_terminal_would_obey_is_not_printed(tmp_path: Path) -> None:
    (tmp_path / "adaptive.yaml").write_text(
        "version: 1\nprm: {kind: python, target: 'tests.doctor.parts:Hostile'}\n" + POLICIES
    )
    done = CliRunner().invoke(app, ["doctor", "--config", str(tmp_path / "adaptive.yaml")])
    assert done.exit_code == 1
    assert "\x1b[2J" not in done.stdout
    assert "screen cleared" in done.stdout


def test_the_embedded_pair_passes(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    papers: Any = bundle.load(lab.CALIBRATION)
    text = f"prm: {{kind: lab}}\ncalibration: lab\ngenerator: {papers.generator!r}\n{POLICIES}"
    status, found = examined(tmp_path, text)
    assert (status, found["calibration"][0]["status"]) == (0, "ok")


def test_a_fine_tuned_calibration_that_loaded_fits(tmp_path: Path) -> None:
    config = load({"version": 1, "prm": {"kind": "lab"}, "calibration": str(tmp_path)})
    assert parts._calibration(config, quantile_estimate).what == f"{tmp_path} fits the process reward model"


@pytest.mark.parametrize(
    ("policies", "samples"),
    [
        ("{default: {strategy: beam, samples: 5}}", 5),
        ("{default: {strategy: effort, rungs: [{name: one}], target: 0.9, attempts: 4}}", 4),
        ("{default: {strategy: pass-through}}", 1),
        ("{}", 1),
    ],
)
def test_open_files_are_counted_for_the_widest_policy(tmp_path: Path, policies: str, samples: int) -> None:
    _, found = examined(tmp_path, f"{CONSTANT}policies: {policies}\n")
    what = found["open files"][0]["what"]
    assert what == "no limit" or f"draw {samples} samples" in what


def test_on_a_terminal_long_lines_are_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "60")
    folded = fitting("a word " * 12)
    assert [len(line) <= 40 for line in folded] == [True] * 3
    assert " ".join(folded).split() == ["a", "word"] * 12
    assert fitting("") == [""]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True
