"""A process reward model that the configuration names is loaded with the settings that it gives."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from adaptive_middleware import Request, lab
from adaptive_middleware.calibration import bundle
from adaptive_middleware.config import load
from adaptive_middleware.errors import BundleMismatch, CheckpointError
from adaptive_middleware.scoring.local import load_scorer
from adaptive_middleware.strategies.best_of_n import best_of_n
from adaptive_middleware.types import Path as Answer
from tests import tiny
from tests.config.test_build import calibration

QUESTION = Request("What is 2 + 2?")
ANSWERS = [Answer(("2 + 2 is 4.\n", "So: 4")), Answer(("5",))]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.qwen_prm(tmp_path_factory.mktemp("models") / "prm")


def written(folder: Path, prm: str) -> Path:
    (folder / "a.yaml").write_text(f"version: 1\nprm: {{kind: transformers, {prm}}}\n")
    return folder / "a.yaml"


def digest(weights: Path) -> str:
    return hashlib.sha256((weights / "model.safetensors").read_bytes()).hexdigest()


def test_a_checkpoint_gives_the_scores_that_it_gives_without_a_configuration(
    weights: Path, tmp_path: Path
) -> None:
    file = written(tmp_path, f"model: '{weights}', family: qwen-math-prm, sha256: \"{digest(weights)}\"")
    scorer = load(file).build().scorer
    assert scorer is not None
    assert scorer.score(QUESTION, ANSWERS) == load_scorer(weights).score(QUESTION, ANSWERS)


def test_length_and_number_format_reach_the_scorer(weights: Path, tmp_path: Path) -> None:
    config = "max_length: 100, batch_tokens: 100, dtype: bfloat16"
    scorer = load(written(tmp_path, f"model: '{weights}', {config}")).build().scorer
    assert scorer is not None
    long = [Answer(tuple(f"step {number}\n" for number in range(40)))]
    same = load_scorer(weights, max_length=100, batch_tokens=100, dtype="bfloat16")
    assert scorer.score(QUESTION, long) == same.score(QUESTION, long)
    assert scorer.score(QUESTION, long)[0].first > 0


@pytest.mark.parametrize(
    "wrong",
    [f'sha256: "{"0" * 64}"', f'sha256_files: {{model.safetensors: "{"0" * 64}"}}'],
)
def test_weights_of_another_digest_are_refused(wrong: str, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="000000"):
        load(written(tmp_path, f"model: '{weights}', {wrong}")).build()


def test_the_lab_is_loaded_with_its_own_calibration(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "PRM", weights)
    monkeypatch.setattr(lab, "CALIBRATION", tmp_path / "math.json")
    fitted = calibration(tmp_path, prm=load_scorer(weights).id)
    document = {
        "version": 1,
        "prm": {"kind": "lab"},
        "calibration": "lab",
        "policies": {"default": {"strategy": "best-of-n"}},
    }
    (rule,) = load(document).build().rules
    assert isinstance(rule.strategy, best_of_n)
    assert (rule.strategy.calibrate, rule.strategy.score) == (fitted, True)


def test_the_calibration_of_the_lab_does_not_fit_another_model(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "CALIBRATION", tmp_path / "math.json")
    calibration(tmp_path, prm="the lab's")
    file = written(tmp_path, f"model: '{weights}'")
    file.write_text(file.read_text() + "calibration: lab\n")
    with pytest.raises(BundleMismatch, match="the lab's"):
        load(file).build()
    assert bundle.load(lab.CALIBRATION).prm == "the lab's"
