"""A folder is used only when every part of it is as it was written, and for its own models."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from adaptive_middleware.checkpoint import file_digest
from adaptive_middleware.errors import BundleMismatch, CalibrationError
from adaptive_middleware.scoring.quantiles import FEATURES
from adaptive_middleware.scoring.quantiles_folder import (
    ADAPTER,
    HEAD,
    MANIFEST,
    Adapter,
    Manifest,
    open_folder,
    text_of,
)
from adaptive_middleware.scoring.quantiles_reading import Correction, Reading

ONE = Correction(0.9, 0.1, ((-1.0, 0.2), (1.0, 0.7)), -0.2, 0.08, 0.92)
READING = Reading(
    "beta",
    (0.1, 0.5, 0.9),
    ((0.0,) * len(FEATURES), (0.5,) * len(FEATURES)),
    ((0.0,) * len(FEATURES),) * 2,
    {"partial": ONE},
)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    for name in (ADAPTER, HEAD):
        (tmp_path / name).write_bytes(name.encode())
    files = {name: file_digest(tmp_path / name) for name in (ADAPTER, HEAD)}
    adapter = Adapter(2, 32, 0.1, ("q_proj",), (1,))
    return Manifest(
        "prm/1", "lm/1", "0" * 64, "qwen-math-prm", adapter, READING, {"name": "x"}, {"all.ece": 0.1}, files
    )


def written(folder: Path, manifest: Manifest) -> Path:
    (folder / MANIFEST).write_text(text_of(manifest))
    return folder


def test_what_was_written_is_read_back(tmp_path: Path, manifest: Manifest) -> None:
    assert open_folder(written(tmp_path, manifest), prm="prm/1", generator="lm/1") == manifest
    assert open_folder(tmp_path) == manifest


@pytest.mark.parametrize(
    ("ids", "what"), [({"prm": "prm/2"}, "process reward model"), ({"generator": "lm/2"}, "generator")]
)
def test_a_folder_of_another_model_is_refused_by_name(
    tmp_path: Path, manifest: Manifest, ids: dict[str, str], what: str
) -> None:
    with pytest.raises(
        BundleMismatch, match=rf"was fine-tuned for the {what} '\w+/1', but '\w+/2' is in use"
    ):
        open_folder(written(tmp_path, manifest), **ids)


@pytest.mark.parametrize("name", [ADAPTER, HEAD])
def test_a_changed_or_missing_file_is_refused(tmp_path: Path, manifest: Manifest, name: str) -> None:
    written(tmp_path, manifest)
    (tmp_path / name).write_bytes(b"other")
    with pytest.raises(CalibrationError, match=rf"{name} is missing or was changed since it was written"):
        open_folder(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CalibrationError, match="is missing or was changed"):
        open_folder(tmp_path)


def test_any_changed_byte_of_the_manifest_is_noticed(tmp_path: Path, manifest: Manifest) -> None:
    text = text_of(manifest)
    (tmp_path / MANIFEST).write_text(text.replace('"slope": 0.9', '"slope": 0.8'))
    with pytest.raises(
        CalibrationError, match=r"manifest\.json was changed since it was written \(sha256 differs\)"
    ):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not readable JSON"),
        ("[]", "not the manifest of a fine-tuned calibration"),
        ('{"format": "x"}', "not the manifest of a fine-tuned calibration"),
        (
            '{"format": "adaptive-middleware fine-tuned calibration", "schema": 9}',
            "has schema 9, this version reads 1",
        ),
        ('{"format": "adaptive-middleware fine-tuned calibration", "schema": 1}', "lacks a part .KeyError"),
    ],
)
def test_garbled_and_foreign_manifests_are_told_apart(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(CalibrationError, match=said):
        open_folder(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"nowhere is no fine-tuned calibration \(no manifest\.json\)"):
        open_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "reading",
    [
        replace(READING, shape="cone"),
        replace(READING, levels=(0.5, 0.1, 0.9)),
        replace(READING, levels=(0.2, 0.5, 0.9)),
        replace(READING, weights=((0.0,) * len(FEATURES),)),
        replace(READING, weights=((0.0,) * (len(FEATURES) - 1),) * 2),
        replace(READING, scales=()),
        replace(READING, corrections={"other": Correction()}),
        replace(READING, corrections={"partial": Correction(slope=-1.0)}),
        replace(READING, corrections={"partial": Correction(lower=0.9, upper=0.1)}),
        replace(READING, corrections={"partial": Correction(means=((0.0, 0.5), (1.0, 0.4)))}),
        replace(READING, corrections={"partial": Correction(means=((0.0, 0.5), (0.0, 0.6)))}),
        replace(READING, corrections={"partial": Correction(means=((0.0, 1.5),))}),
    ],
)
def test_a_reading_that_could_fail_or_cross_is_refused(
    tmp_path: Path, manifest: Manifest, reading: Reading
) -> None:
    with pytest.raises(CalibrationError, match="its reading or its list of files is malformed"):
        open_folder(written(tmp_path, replace(manifest, reading=reading)))


def test_a_list_of_other_files_is_refused(tmp_path: Path, manifest: Manifest) -> None:
    with pytest.raises(CalibrationError, match="its list of files is malformed"):
        open_folder(written(tmp_path, replace(manifest, files={"../x": "0"})))


def test_no_nan_is_written(manifest: Manifest) -> None:
    with pytest.raises(CalibrationError, match="a number that JSON cannot"):
        text_of(replace(manifest, metrics={"all.ece": float("nan")}))


def test_a_manifest_lists_digests_of_both_files(manifest: Manifest) -> None:
    assert set(json.loads(text_of(manifest))["files"]) == {ADAPTER, HEAD}
