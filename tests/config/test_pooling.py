"""`prm: {kind: pooling}` becomes exactly that client."""

from __future__ import annotations

from typing import Any

import pytest

from adaptive_middleware import Middleware, lab
from adaptive_middleware.config import load
from adaptive_middleware.errors import CheckpointError, ConfigError
from adaptive_middleware.scoring.pooling_http import PoolingScorer

PRM = {
    "kind": "pooling",
    "urls": ["http://127.0.0.1:9/", "http://127.0.0.1:10"],
    "model": "lab/prm@023bb2dca56b",
    "tokenizer": str(lab.PRM),
    "family": "qwen-math-prm",
}


def built(**changed: Any) -> PoolingScorer:
    scorer = load({"version": 1, "prm": PRM | changed}).build().scorer
    assert isinstance(scorer, PoolingScorer)
    return scorer


def test_the_client_is_made_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRM_KEY", "amw_x")
    scorer = built(key_env="PRM_KEY", timeout=2.5)
    assert scorer.replicas.urls == ("http://127.0.0.1:9", "http://127.0.0.1:10")
    assert (scorer.replicas.model, scorer.replicas.timeout) == ("lab/prm@023bb2dca56b", 2.5)
    assert scorer.replicas.headers["authorization"] == "Bearer amw_x"
    assert "amw_x" not in repr(scorer.replicas)
    assert "authorization" not in built().replicas.headers


def test_a_calibration_fits_the_model_wherever_it_runs() -> None:
    Middleware.from_config({"version": 1, "prm": PRM, "calibration": "lab"})


def test_what_was_read_can_be_given_again_as_calibrate_does() -> None:
    prm = load({"version": 1, "prm": PRM}).settings.prm
    assert prm is not None
    scorer = load({"version": 1, "prm": prm.model_dump(exclude_none=True)}).build().scorer
    assert isinstance(scorer, PoolingScorer)
    assert scorer.replicas == built().replicas


def test_a_key_that_is_not_set_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRM_KEY", raising=False)
    with pytest.raises(
        ConfigError, match=r"prm\.key_env is 'PRM_KEY', but that environment variable is not set"
    ):
        built(key_env="PRM_KEY")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"urls": []}, "urls"),
        ({"urls": ["ftp://a"]}, "urls"),
        ({"urls": ["http:///x"]}, "urls"),
        ({"urls": "http://a"}, "urls"),
        ({"family": "judge"}, "family"),
        ({"timeout": 0}, "timeout"),
        ({"max_length": 3}, "max_length"),
        ({"device": "cuda"}, "device"),
        ({"urls": ["http://[::"]}, "not the address of a server"),
    ],
)
def test_what_cannot_work_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        built(**changed)


@pytest.mark.parametrize("tokenizer", ["nowhere", "no/where/at/all"])
def test_a_tokenizer_that_is_not_there_is_named(tokenizer: str) -> None:
    with pytest.raises(CheckpointError, match=f"no folder '{tokenizer}'"):
        built(tokenizer=tokenizer)


def test_a_fine_tuned_calibration_needs_the_model_here(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=r"needs prm\.kind transformers or lab"):
        load({"version": 1, "prm": PRM, "calibration": str(tmp_path)}).build()
