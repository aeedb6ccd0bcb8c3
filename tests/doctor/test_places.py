"""Sandboxes are tried, and the trace store is looked at without a change."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from adaptive_middleware.config import Config, load
from adaptive_middleware.doctor.extras import model_of, needed
from adaptive_middleware.doctor.places import sandboxes, store, store_of
from adaptive_middleware.trace.schema import VERSION, open_to_write
from adaptive_middleware.trace.settings import default_place
from adaptive_middleware.verify.sandbox.choose import Probe

WORKS, BROKEN = (
    Probe("bwrap", works=True),
    Probe("bwrap", works=False, why="not there", remedy="apt install it"),
)
TESTS = {"strategy": "best-of-n", "verifier": {"kind": "task-tests"}}


def config(policy: Mapping[str, object], **more: object) -> Config:
    return load({"version": 1, "policies": {"default": policy}, **more})


def test_one_sandbox_that_works_is_enough() -> None:
    other = Probe("other", works=False, why="no rights", remedy="get some")
    (found,) = sandboxes(config(TESTS), [WORKS, other])
    assert (found.status, found.what) == ("ok", "works: bwrap; does not: other: no rights")


def test_without_a_sandbox_only_a_verifier_that_runs_code_fails() -> None:
    (found,) = sandboxes(config(TESTS), [BROKEN])
    assert (found.status, found.fix) == ("fail", "apt install it")
    for other in (None, config({"strategy": "best-of-n"})):
        assert [each.status for each in sandboxes(other, [BROKEN])] == ["warn"]


def test_a_sandbox_that_works_only_when_it_is_asked_for_says_how() -> None:
    (found,) = sandboxes(config(TESTS), [BROKEN, Probe("container", works=True)])
    assert (found.status, found.what) == ("warn", "works: container; does not: bwrap: not there")
    assert found.fix.startswith("say --sandbox container: ")
    assert found.fix.endswith("apt install it")


def test_a_store_is_that_of_the_configuration() -> None:
    plain: dict[str, object] = {"strategy": "pass-through"}
    assert store_of(config(plain)) is None
    assert store_of(config(plain, trace={})) == default_place()
    assert store_of(config(plain, trace={"path": "a/b.db"})) == Path("a/b.db").absolute()


def test_a_store_that_is_not_there_yet_can_be_made_or_not(tmp_path: Path) -> None:
    assert store(tmp_path / "new" / "traces.db").status == "ok"
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    found = store(tmp_path / "file" / "traces.db")
    assert (found.status, found.fix) == ("fail", "name another trace.path")


def test_a_store_is_counted_and_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "traces.db"
    open_to_write(file).close()
    before = file.read_bytes()
    assert store(file).what.startswith(f"{file}: 0 calls, 0.0 MB")
    assert file.read_bytes() == before


def test_a_store_of_a_newer_version_fails(tmp_path: Path) -> None:
    file = tmp_path / "traces.db"
    with closing(open_to_write(file)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    found = store(file)
    assert (found.status, f"has version {VERSION + 1}" in found.what) == ("fail", True)


@pytest.mark.parametrize("content", [b"not a database, but long enough to look at" * 30, None])
def test_what_is_no_store_is_a_warning(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "traces.db"
    if content is not None:
        file.write_bytes(content)
    else:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA user_version = 1")
    assert store(file).status == "warn"


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    assert store(tmp_path).status == "fail"


def test_an_empty_file_is_a_store_to_be(tmp_path: Path) -> None:
    (tmp_path / "traces.db").write_bytes(b"")
    assert store(tmp_path / "traces.db").status == "ok"


def test_a_model_behind_signals_of_code_is_needed_too() -> None:
    signals = {"kind": "code-signals", "then": {"kind": "lab"}}
    made = config({"strategy": "best-of-n"}, prm=signals)
    assert needed(made) == {"prm": "prm.kind lab"}
    assert model_of(config({"strategy": "best-of-n"}, prm={"kind": "code-signals"})) is None
