"""A store forgets what is too old and does not grow beyond its limit."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path as File

import pytest

from adaptive_middleware import Request
from adaptive_middleware.testing import ScriptedSampler
from adaptive_middleware.trace import file as store_file
from adaptive_middleware.trace.settings import DAY
from tests.trace.made import everything, kept, plain_calls


def aged(file: File, days: float) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE calls SET at = at - ?", (days * DAY,))
        connection.commit()


def test_calls_older_than_the_limit_are_gone_when_the_store_is_next_opened(tmp_path: File) -> None:
    plain_calls(tmp_path / "t.db", 3)
    aged(tmp_path / "t.db", 3.1)
    young = plain_calls(tmp_path / "t.db", 1, retention_days=3)
    assert [row["id"] for row in everything(tmp_path / "t.db")] == young


def test_calls_within_the_limit_and_from_the_future_stay(tmp_path: File) -> None:
    ids = plain_calls(tmp_path / "t.db", 1)
    aged(tmp_path / "t.db", 2.9)
    ids += plain_calls(tmp_path / "t.db", 1, retention_days=3)
    aged(tmp_path / "t.db", -5)
    ids += plain_calls(tmp_path / "t.db", 1, retention_days=3)
    assert {row["id"] for row in everything(tmp_path / "t.db")} == set(ids)


def test_a_store_that_is_too_large_loses_its_oldest_calls_and_its_file_shrinks(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_file, "FORGET_EVERY", 50)
    file = tmp_path / "t.db"
    with kept(file, max_mb=1) as (middleware, sink):
        ids = []
        for number in range(400):
            text = f"{number} " + "long question " * 500
            ids.append(middleware.run(Request(text), ScriptedSampler(["4"])).id)
            if number % 10 == 9:
                sink.flush()
    rows = everything(file)
    assert 20 < len(rows) < 200
    assert [row["id"] for row in rows] == ids[-len(rows) :]
    assert file.stat().st_size < 2_000_000


def test_nothing_of_a_call_that_was_forgotten_is_left_in_the_file(tmp_path: File) -> None:
    file = tmp_path / "t.db"
    with kept(file) as (middleware, _):
        for number in range(20):
            middleware.run(Request(f"unforgettable {number} " + "x" * 3000), ScriptedSampler(["4"]))
    assert b"unforgettable" in file.read_bytes()
    aged(file, 4)
    plain_calls(file, 1, retention_days=3)
    assert len(everything(file)) == 1
    assert b"unforgettable" not in b"".join(each.read_bytes() for each in tmp_path.iterdir())


def test_the_age_is_that_of_the_wall_clock(tmp_path: File) -> None:
    plain_calls(tmp_path / "t.db", 1)
    assert abs(everything(tmp_path / "t.db")[0]["at"] - time.time()) < 60
