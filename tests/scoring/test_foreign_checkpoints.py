"""Missing, damaged, foreign and hostile model folders: typed errors that name the file and the next step."""

import hashlib
import json
import os
import pickle
import shutil
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers.utils import logging

from adaptive_middleware.checkpoint import open_checkpoint
from adaptive_middleware.errors import CheckpointError
from adaptive_middleware.pretrained import load_tensor
from adaptive_middleware.scoring.local import load_scorer
from tests import tiny


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.qwen_prm(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "prm"))


def refused(folder: Path, match: str, family: str | None = None) -> None:
    with pytest.raises(CheckpointError, match=match):
        load_scorer(folder, family=family)


def edit(path: Path, **changes: object) -> None:
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "no model folder .*nowhere.* must name a folder")


def test_a_file_is_not_a_folder(folder: Path) -> None:
    refused(folder / "model.safetensors", "no model folder")


def test_a_hub_name_that_cannot_be_had_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        CheckpointError, match="'nobody/nothing' is no folder here, and the hub did not give it"
    ):
        load_scorer("nobody/nothing")


def test_a_hub_name_is_found_in_the_local_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    commit = "0123456789abcdef0123456789abcdef01234567"
    home = tmp_path / "models--some--prm"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    shutil.copytree(folder, home / "snapshots" / commit)
    monkeypatch.setattr("adaptive_middleware.pretrained.snapshot_download", in_cache(tmp_path))
    assert load_scorer("some/prm").id == "some/prm"


def in_cache(cache: Path) -> object:
    return partial(snapshot_download, cache_dir=cache)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refused(folder, name)


@pytest.mark.parametrize("cut", [0, 4, 8, 50, -100, -1])
def test_cut_weights_are_refused(folder: Path, cut: int) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:cut])
    refused(folder, r"model\.safetensors (has \d+ bytes instead of \d+|is not a safetensors file).*again")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_garbled_header_is_refused_or_still_describes_the_same_file(
    whole: Path, data: st.DataObject
) -> None:
    original = (whole / "model.safetensors").read_bytes()
    header = 8 + int.from_bytes(original[:8], "little")
    at = data.draw(st.integers(0, header - 1))
    garbled = bytearray(original)
    garbled[at] ^= 1 << data.draw(st.integers(0, 7))
    weights = whole.parent / "garbled" / "model.safetensors"
    shutil.copytree(whole, weights.parent, dirs_exist_ok=True)
    weights.write_bytes(garbled)
    try:
        load_scorer(weights.parent)
    except CheckpointError:
        return
    assert sorted(load_file(weights).keys())


def test_a_flipped_bit_in_the_weights_is_found_by_its_digest(folder: Path) -> None:
    weights = folder / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert load_scorer(folder, sha256=digest.upper()).id == "prm"
    garbled = bytearray(weights.read_bytes())
    garbled[-5] ^= 1
    weights.write_bytes(garbled)
    assert load_scorer(folder).id == "prm", "without a digest nothing can be noticed"
    with pytest.raises(
        CheckpointError, match=rf"model\.safetensors has sha256 .* but {digest} was configured"
    ):
        load_scorer(folder, sha256=digest)


def test_digests_can_cover_every_file_and_must_cover_all_weights(folder: Path) -> None:
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    open_checkpoint(folder, digests)
    edit(folder / "config.json", rms_norm_eps=1e-3)
    with pytest.raises(CheckpointError, match=r"config\.json has sha256"):
        open_checkpoint(folder, digests)
    with pytest.raises(CheckpointError, match=r"no digest for 'model\.safetensors'"):
        open_checkpoint(folder, {"config.json": digests["config.json"]})
    with pytest.raises(CheckpointError, match=r"merges\.txt cannot be read"):
        open_checkpoint(folder, {"model.safetensors": digests["model.safetensors"], "merges.txt": "0"})


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl"])
def test_pickled_weights_are_refused_with_the_way_out(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    refused(folder, f"{name} is a pickle, which could run code: convert")


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_pickle_under_any_name_never_runs(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Bomb()))
    refused(folder, "model.safetensors")
    assert not (folder / "exploded").exists()


def test_a_pickle_beside_good_weights_is_ignored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    assert load_scorer(folder).id == "prm"
    assert not (folder / "exploded").exists()


def test_remote_code_in_the_folder_never_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "modeling_qwen2_rm.py").write_text("import os; os.mkdir('exploded')")
    assert load_scorer(folder).id == "prm"
    assert not (folder / "exploded").exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds a list"),
        ("{}", "has no `model_type`"),
        ("\xff", "cannot be read"),
    ],
)
def test_a_garbled_config_is_refused(folder: Path, content: str, match: str) -> None:
    (folder / "config.json").write_bytes(content.encode("latin-1"))
    refused(folder, match)


@pytest.mark.parametrize("content", ["{", "{}", "[]", "7"])
def test_a_garbled_tokenizer_is_refused(folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    refused(folder, "tokenizer in .* cannot be loaded")


def test_an_unknown_architecture_is_named(folder: Path) -> None:
    edit(folder / "config.json", model_type="mamba9")
    refused(folder, "architecture 'mamba9', which transformers does not know")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"hidden_size": 64}, "do not fit their config.json"),
        ({"num_hidden_layers": 3}, r"lacks the tensor 'layers\.2"),
        ({"num_hidden_layers": 1}, r"has the tensor '.*layers\.1.*no place for"),
        ({"vocab_size": 5}, "do not fit their config.json"),
        ({"model_type": "gpt2"}, "do not fit their config.json|lacks the tensor"),
    ],
)
def test_weights_of_another_shape_than_the_config_are_refused(
    folder: Path, changes: dict[str, object], match: str
) -> None:
    edit(folder / "config.json", layer_types=None, **changes)
    refused(folder, match)


def test_a_config_with_impossible_values_is_refused(folder: Path) -> None:
    edit(folder / "config.json", hidden_size="wide")
    refused(folder, "config.json")


def test_weights_that_are_damaged_after_they_were_checked_are_refused(folder: Path) -> None:
    checkpoint = open_checkpoint(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged .*: copy or download it again"):
        load_tensor(checkpoint, "score.0.weight")


@pytest.mark.parametrize("shown", [True, False])
def test_loading_prints_nothing_and_leaves_the_settings_of_transformers_alone(
    folder: Path, shown: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    was = logging.is_progress_bar_enabled()
    (logging.enable_progress_bar if shown else logging.disable_progress_bar)()  # type: ignore[no-untyped-call]
    verbosity = logging.get_verbosity()
    load_scorer(folder)
    found = (logging.is_progress_bar_enabled(), logging.get_verbosity())
    (logging.enable_progress_bar if was else logging.disable_progress_bar)()  # type: ignore[no-untyped-call]
    assert found == (shown, verbosity)
    assert capfd.readouterr() == ("", "")
