import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adaptive_middleware.calibration.bundle import Bundle, load, save
from adaptive_middleware.calibration.posthoc import Calibration, QuantileMap
from adaptive_middleware.errors import BundleMismatch, CalibrationError
from adaptive_middleware.signed import digest

CURVES = QuantileMap(("last", "steps"), (1.0, -0.5), 0.25, (-1.0, 1.0), (0.2, 0.6), ((0.1, 0.3), (0.4, 0.8)))
SMALL = Bundle("prm/a", "model/b", "0" * 64, Calibration((0.1, 0.9), {"any": CURVES}), {"all.ece_raw": 0.25})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calibration.json"


def rewritten(path: Path, change: Callable[[dict[str, Any]], object], signed: bool = True) -> Path:
    """The small bundle with a change, signed again as a careful forger would."""
    save(SMALL, path)
    content = json.loads(path.read_text())
    claimed = content.pop("sha256")
    change(content)
    path.write_text(json.dumps(content | {"sha256": digest(content) if signed else claimed}))
    return path


def test_a_bundle_comes_back_as_it_was(path: Path) -> None:
    save(SMALL, path)
    assert load(path, prm="prm/a", generator="model/b") == SMALL


def test_a_fitted_calibration_gives_the_same_estimates_after_the_disk(
    path: Path, calibration: Calibration
) -> None:
    save(replace(SMALL, calibration=calibration), path)
    assert load(path).calibration == calibration


def test_the_file_is_plain_json_with_its_papers(path: Path) -> None:
    save(SMALL, path)
    content = json.loads(path.read_text())
    assert (content["format"], content["schema"]) == ("adaptive-middleware calibration", 1)
    assert (content["prm"], content["generator"], content["data_sha256"]) == ("prm/a", "model/b", "0" * 64)


def test_the_same_bundle_is_the_same_file(path: Path) -> None:
    save(SMALL, path)
    first = path.read_bytes()
    save(load(path), path)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"prm": "prm/other"}, ("process reward model 'prm/a'", "'prm/other'")),
        ({"generator": "model/other"}, ("generator 'model/b'", "'model/other'")),
    ],
)
def test_a_bundle_for_other_models_is_refused_with_both_ids(
    path: Path, options: dict[str, str], ids: tuple[str, str]
) -> None:
    save(SMALL, path)
    with pytest.raises(BundleMismatch) as caught:
        load(path, **options)
    assert all(one in str(caught.value) for one in (*ids, str(path)))


def test_a_missing_file_says_so(path: Path) -> None:
    with pytest.raises(CalibrationError, match="no such calibration bundle"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\x80\x04\x95pickle", b'{"format": NaN', b"[" * 100_000])
def test_a_file_that_is_not_json_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(CalibrationError, match="not readable JSON"):
        load(path)


@pytest.mark.parametrize("content", ["[]", "3", "{}", '{"format": "other", "schema": 1}'])
def test_foreign_json_is_refused(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(CalibrationError, match="not a calibration bundle"):
        load(path)


@pytest.mark.parametrize("schema", [0, 2, None])
def test_another_schema_version_is_refused(path: Path, schema: object) -> None:
    with pytest.raises(CalibrationError, match=f"schema {schema!r}, this version reads 1"):
        load(rewritten(path, lambda content: content.update(schema=schema)))


def test_any_changed_number_is_noticed(path: Path) -> None:
    with pytest.raises(CalibrationError, match="sha256 differs"):
        load(rewritten(path, lambda content: content["metrics"].update(x=0.1), signed=False))


def test_every_truncation_is_refused(path: Path) -> None:
    save(SMALL, path)
    whole = path.read_bytes().rstrip()
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        with pytest.raises(CalibrationError):
            load(path)


def curves(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["maps"]["any"].update(changes)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content["maps"].clear(), "'any' is missing"),
        (lambda content: content.update(levels=[0.2, 0.9]), "lack 0.1 or 0.9"),
        (lambda content: content.update(levels=[0.9, 0.1]), "do not ascend"),
        (lambda content: content.pop("prm"), "lacks a part"),
        (lambda content: content.update(maps=3), "lacks a part"),
        (lambda content: content.update(metrics={"x": None}), "lacks a part"),
        (curves(knots=None), "lacks a part"),
        (curves(names=["colour", "steps"]), "malformed"),
        (curves(weights=[1.0]), "malformed"),
        (curves(bias=1e999), "lacks a part"),
        (curves(knots=[1.0, -1.0]), "malformed"),
        (curves(knots=[], means=[], quantiles=[[], []]), "malformed"),
        (curves(means=[0.6, 0.2]), "malformed"),
        (curves(means=[0.2, 1.6]), "malformed"),
        (curves(quantiles=[[0.1, 0.3]]), "malformed"),
        (curves(quantiles=[[0.1, 0.3], [0.4]]), "malformed"),
        (curves(quantiles=[[0.4, 0.8], [0.1, 0.3]]), "malformed"),
    ],
)
def test_a_forged_bundle_that_could_fail_later_is_refused_now(
    path: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    save(SMALL, path)
    content = json.loads(path.read_text())
    content.pop("sha256")
    change(content)
    text = json.dumps(content)
    parsed = json.loads(text)
    signature = "0" * 64 if "Infinity" in text else digest(parsed)
    path.write_text(json.dumps(parsed | {"sha256": signature}))
    with pytest.raises(CalibrationError, match=says):
        load(path)


def test_nan_is_never_written(path: Path) -> None:
    with pytest.raises(CalibrationError, match="JSON cannot"):
        save(replace(SMALL, metrics={"all.ece_raw": float("nan")}), path)
    assert not path.exists()


def test_a_bundle_that_could_not_be_loaded_is_not_saved(path: Path) -> None:
    crossing = replace(CURVES, quantiles=CURVES.quantiles[::-1])
    with pytest.raises(CalibrationError, match="malformed"):
        save(replace(SMALL, calibration=Calibration((0.1, 0.9), {"any": crossing})), path)
    assert not path.exists()


def test_an_interrupted_save_leaves_the_old_bundle_and_no_litter(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(SMALL, path)

    def killed(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        save(replace(SMALL, prm="prm/new"), path)
    assert load(path) == SMALL
    assert list(path.parent.iterdir()) == [path]


def test_a_saved_bundle_can_be_read_by_others(path: Path) -> None:
    save(SMALL, path)
    assert path.stat().st_mode & 0o777 == 0o644
