"""Weights in several files, found by an index."""

import json
from pathlib import Path

import pytest

from adaptive_middleware.errors import CheckpointError
from adaptive_middleware.scoring.local import load_scorer
from tests import tiny


def refused(folder: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match):
        load_scorer(folder)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    return tiny.qwen_prm(tmp_path, shards=2)


def test_a_missing_shard_is_named(sharded: Path) -> None:
    (sharded / "model-00002.safetensors").unlink()
    refused(sharded, r"model-00002\.safetensors is missing: the index names it")


@pytest.mark.parametrize("name", ["../other.safetensors", "/etc/passwd", "part.bin"])
def test_an_index_can_only_name_safetensors_beside_it(sharded: Path, name: str) -> None:
    edit(sharded / "model.safetensors.index.json", weight_map={"a": name})
    refused(sharded, "only .safetensors files beside the index are read")


@pytest.mark.parametrize("weight_map", [None, {}, []])
def test_an_index_without_files_is_refused(sharded: Path, weight_map: object) -> None:
    edit(sharded / "model.safetensors.index.json", weight_map=weight_map)
    refused(sharded, "has no `weight_map`")


def test_one_digest_is_not_enough_for_shards(sharded: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no digest for 'model-00002\.safetensors'"):
        load_scorer(sharded, sha256="0" * 64)
