"""Kept calls as a table, and what is said where it cannot be written."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path as File

import pytest
from typer.testing import CliRunner

from adaptive_middleware.cli import app
from adaptive_middleware.trace.parquet import ROWS, write_table
from adaptive_middleware.trace.reading import Kept, one
from tests.trace.made import asked, plain_calls

RUNNER = CliRunner()


@pytest.fixture
def store(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> File:
    monkeypatch.setenv("ADAPTIVE_MIDDLEWARE_STORE", str(tmp_path / "t.db"))
    return tmp_path / "t.db"


def exported(*arguments: str | File, code: int = 0) -> str:
    ran = RUNNER.invoke(app, ["trace", "export", "--format", "parquet", *map(str, arguments)])
    assert ran.exit_code == code, ran.output
    return ran.output


def test_without_pyarrow_the_extra_is_named(store: File, tmp_path: File) -> None:
    plain_calls(store, 1)
    code = "import sys; sys.modules['pyarrow'] = None; from adaptive_middleware.cli import main; main()"
    command = [sys.executable, "-c", code, "trace", "export", "--format", "parquet", "-o", "t.parquet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "pip install 'adaptive-middleware[parquet]'" in done.stderr
    assert not (tmp_path / "t.parquet").exists()


def test_a_table_needs_a_file_and_holds_calls_alone(store: File, tmp_path: File) -> None:
    plain_calls(store, 1)
    assert "a table needs a file" in exported(code=2)
    assert "a table has calls" in exported("--as", "audit", "-o", tmp_path / "t.parquet", code=2)


def test_a_table_has_every_column_of_every_call_with_its_types(store: File, tmp_path: File) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    outcome = asked(store)
    plain_calls(store, 2)
    told = json.loads(exported("-o", tmp_path / "t.parquet", "--json"))
    assert told == {"file": str(tmp_path / "t.parquet"), "calls": 3}
    table = parquet.read_table(tmp_path / "t.parquet")
    assert set(table.column_names) == {one.name for one in fields(Kept)} - {"at"} | {"time"}
    row = table.to_pylist()[-1]
    call = one(store, str(outcome.id))
    assert abs(row["time"] - datetime.fromtimestamp(call.at, UTC)) <= timedelta(microseconds=1)
    assert json.loads(row["details"]) == call.details
    assert (row["p"], row["samples"], row["correct"], row["question"]) == (0.97, 2, None, "What is 2 + 2?")
    assert ((tmp_path / "t.parquet").stat().st_mode & 0o777) == 0o600


def test_many_calls_are_several_row_groups(tmp_path: File) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    call = one(tmp_path / "t.db", plain_calls(tmp_path / "t.db", 1)[0])
    file = tmp_path / "t.parquet"
    assert write_table(file, (call for _ in range(ROWS + 1)), force=False) == ROWS + 1
    assert parquet.ParquetFile(file).num_row_groups == 2


def test_a_time_that_no_timestamp_can_hold_is_absent(tmp_path: File) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    call = one(tmp_path / "t.db", plain_calls(tmp_path / "t.db", 1)[0])
    write_table(tmp_path / "t.parquet", [replace(call, at=1e30)], force=False)
    assert parquet.read_table(tmp_path / "t.parquet")["time"].to_pylist() == [None]
