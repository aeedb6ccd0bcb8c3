"""A configuration whose `calibration` is a folder: the fine-tuned model scores and calibrates."""

from pathlib import Path

import pytest

from adaptive_middleware.config import load
from adaptive_middleware.errors import BundleMismatch, ConfigError
from adaptive_middleware.middleware import Middleware
from adaptive_middleware.scoring.quantiles_local import QuantileScorer
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.types import Request
from tests.finetuning.conftest import Made


def configured(folder: Path, prm: str, calibration: Path, generator: str = "tiny/lm") -> Path:
    file = folder / "adaptive.yaml"
    file.write_text(
        f"version: 1\nprm: {prm}\ncalibration: {calibration}\ngenerator: {generator}\n"
        "policies:\n  default: {strategy: best-of-n, policy: {kind: fixed, n: 2}}\n"
    )
    return file


def test_the_folder_makes_scorer_and_calibrator(tmp_path: Path, base: Path, made: dict[str, Made]) -> None:
    file = configured(tmp_path, f"{{kind: transformers, model: {base}}}", made["monotone"].folder)
    assert isinstance(load(file).build().scorer, QuantileScorer)
    outcome = Middleware.from_config(file).run(Request("What is 1 + 2?"), ScriptedSampler(["so 3", "x"]))
    assert outcome.degraded == ()
    estimates = [one.estimate for one in outcome.considered]
    assert all(one is not None and len(one.quantiles) == 7 for one in estimates)


def test_a_folder_for_another_generator_or_model_is_refused(
    tmp_path: Path, base: Path, made: dict[str, Made]
) -> None:
    prm = f"{{kind: transformers, model: {base}}}"
    with pytest.raises(BundleMismatch, match="generator 'tiny/lm', but 'gpt' is in use"):
        load(configured(tmp_path, prm, made["monotone"].folder, "gpt")).build()
    with pytest.raises(BundleMismatch, match="process reward model 'tiny/prm@1', but 'lab/prm@"):
        load(configured(tmp_path, "{kind: lab}", made["monotone"].folder)).build()


def test_your_own_scorer_cannot_be_fine_tuned_from_outside(tmp_path: Path, made: dict[str, Made]) -> None:
    prm = '{kind: python, target: "tests.config.parts:Scores"}'
    with pytest.raises(
        ConfigError, match=r"adaptive\.yaml:3:.*a fine-tuned model: that needs prm\.kind transformers or lab"
    ):
        load(configured(tmp_path, prm, made["monotone"].folder)).build()
