"""What the machine gives is said as it is: each boundary between ok, warn and fail."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from adaptive_middleware.doctor import worst
from adaptive_middleware.doctor.finding import fail, ok, warn
from adaptive_middleware.doctor.machine import (
    accelerator,
    clock,
    clock_beside,
    disk,
    files_for,
    open_files,
    python,
    room,
    seen,
)

GIB = 1 << 30


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10, 14), "fail"), ((3, 11, 0), "ok"), ((3, 14, 1), "ok")]
)
def test_python_must_be_new_enough(version: tuple[int, ...], status: str) -> None:
    found = python(version)
    assert found.status == status
    assert ".".join(map(str, version)) in found.what
    assert sys.executable in found.what


@pytest.mark.parametrize(
    ("cards", "mps", "wanted", "status"),
    [
        ([], False, None, "ok"),
        ([], False, "cpu", "ok"),
        ([], True, None, "ok"),
        ([], True, "mps", "ok"),
        ([], False, "mps", "fail"),
        ([], False, "cuda", "fail"),
        (["H100"], False, "cuda", "ok"),
        (["H100"], False, "cuda:0", "ok"),
        (["H100"], False, "cuda:1", "fail"),
        (["H100"], False, "cpu", "warn"),
        ([], True, "cpu", "warn"),
    ],
)
def test_the_device_of_the_configuration_must_be_there(
    cards: list[str], mps: bool, wanted: str | None, status: str
) -> None:
    found = seen("2.6", cards, mps=mps, wanted=wanted)
    assert found.status == status
    assert bool(found.fix) == (status != "ok")
    assert all(card in found.what for card in cards)


def test_torch_is_seen_as_it_is_here() -> None:
    torch = pytest.importorskip("torch")
    assert torch.__version__ in accelerator(None).what


def test_without_torch_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adaptive_middleware.doctor.machine.find_spec", lambda name: None)
    assert accelerator(None) == ok("accelerator", "PyTorch is not installed; nothing asked for it")


def test_a_clock_before_the_package_was_made_is_wrong() -> None:
    assert clock(0.0).status == "fail"
    assert clock(0.0).what.startswith("1970-01-01 00:00:00 UTC")
    assert clock(time.time()).status == clock().status == "ok"


@pytest.mark.parametrize(
    ("apart", "status", "said"),
    [(0, "ok", "within"), (60, "ok", "within"), (61, "warn", "61 s ahead"), (-61, "warn", "61 s behind")],
)
def test_clocks_may_be_a_minute_apart(apart: int, status: str, said: str) -> None:
    found = clock_beside(1_800_000_000.0 + apart, 1_800_000_000.0, "the upstream")
    assert (found.status, said in found.what) == (status, True)


@pytest.mark.parametrize(
    ("free", "status"),
    [(GIB, "ok"), (GIB - 1, "warn"), (100 << 20, "warn"), ((100 << 20) - 1, "fail"), (0, "fail")],
)
def test_a_full_disk_is_seen_before_it_is_full(free: int, status: str) -> None:
    assert room(Path("/data"), free).status == status


def test_one_file_system_is_looked_at_once_and_missing_folders_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    found = list(disk((tmp_path, tmp_path / "a", tmp_path / "none")))
    assert len(found) == 1
    assert found[0].what.endswith(str(tmp_path))


@pytest.mark.parametrize(
    ("soft", "samples", "hard", "status", "said"),
    [
        (1024, 16, 4096, "ok", "about 60 calls"),
        (320, 16, 4096, "ok", "about 16 calls"),
        (319, 16, 4096, "warn", "about 15 calls"),
        (10, 16, -1, "warn", "about 0 calls"),
        (-1, 16, -1, "ok", "no limit"),
    ],
)
def test_open_files_are_counted_in_calls(soft: int, samples: int, hard: int, status: str, said: str) -> None:
    found = files_for(soft, samples, hard)
    assert (found.status, said in found.what) == (status, True)
    assert ("ulimit -n 4096" in found.fix) == (status == "warn" and hard == 4096)
    assert ("ulimit -n 8192" in found.fix) == (status == "warn" and hard == -1)


def test_a_system_without_limits_of_files_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert open_files(16).what == "this system has no such limit"


def test_open_files_are_those_of_this_process() -> None:
    resource = pytest.importorskip("resource")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    expected = "no limit" if soft == resource.RLIM_INFINITY else f"at most {soft}:"
    assert open_files(1).what.startswith(expected)


def test_the_worst_finding_decides() -> None:
    assert worst([ok("a", ""), fail("b", "", ""), warn("c", "", "")]) == "fail"
    assert all(worst([make]) == make.status for make in (ok("a", ""), warn("a", "", "")))
