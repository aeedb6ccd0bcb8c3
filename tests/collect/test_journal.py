"""The journal: nothing that was written is lost, nothing torn is believed, nothing foreign is gone on with."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path as File
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaptive_middleware.collect import journal as module
from adaptive_middleware.collect.journal import Journal, finished_units
from adaptive_middleware.errors import CalibrationError

IDENTITY = {"prompts": "abc", "answers": 4}
VALUES = st.dictionaries(st.text(max_size=4), st.integers() | st.text() | st.none(), max_size=3)


def begun(folder: File, count: int = 3) -> bytes:
    with Journal(folder, IDENTITY, resume=False) as journal:
        for k in range(count):
            journal.put(f"unit {k}", {"value": k})
    return journal.path.read_bytes()


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_put_is_there_again(tmp_path_factory: pytest.TempPathFactory, units: dict[str, Any]) -> None:
    folder = tmp_path_factory.mktemp("journal")
    with Journal(folder, IDENTITY, resume=False) as journal:
        for key, unit in units.items():
            journal.put(key, {"value": unit})
    with Journal(folder, IDENTITY, resume=True) as again:
        assert {key: unit["value"] for key, unit in again.units.items()} == units
        assert again.notes == []


def test_a_journal_cut_at_any_byte_goes_on_with_all_whole_lines(tmp_path: File) -> None:
    content = begun(tmp_path / "whole")
    first = content.index(b"\n") + 1
    for size in range(first, len(content) + 1):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / module.NAME).write_bytes(content[:size])
        whole = content[:size].count(b"\n") - 1
        torn = not content[:size].endswith(b"\n")
        assert len(finished_units(folder)) == whole
        with Journal(folder, IDENTITY, resume=True) as journal:
            assert sorted(journal.units) == [f"unit {k}" for k in range(whole)]
            assert len(journal.notes) == torn
            journal.put("unit 9", {"value": 9})
        assert [json.loads(line) for line in journal.path.read_bytes().splitlines()][-1]["unit"] == "unit 9"


def test_a_journal_torn_in_its_first_line_is_begun_again(tmp_path: File) -> None:
    content = begun(tmp_path)
    (tmp_path / module.NAME).write_bytes(content[:20])
    with Journal(tmp_path, IDENTITY, resume=True) as journal:
        assert journal.units == {}
        assert "torn (20 bytes)" in journal.notes[0]
    assert journal.path.read_bytes() == content[: content.index(b"\n") + 1]


def test_an_existing_journal_is_refused_with_the_two_ways_on(tmp_path: File) -> None:
    content = begun(tmp_path)
    with pytest.raises(CalibrationError, match=r"--resume, or choose another --out"):
        Journal(tmp_path, IDENTITY, resume=False)
    assert (tmp_path / module.NAME).read_bytes() == content


def test_a_foreign_journal_is_refused_by_name_of_what_differs(tmp_path: File) -> None:
    begun(tmp_path)
    with pytest.raises(CalibrationError) as refused:
        Journal(tmp_path, {"prompts": "abc", "answers": 8, "seed": 1}, resume=True)
    assert "answers: 4 there, 8 now" in str(refused.value)
    assert "seed: None there, 1 now" in str(refused.value)
    assert "prompts" not in str(refused.value).split("differs:")[1]


def test_damage_in_the_middle_is_named_with_its_line(tmp_path: File) -> None:
    lines = begun(tmp_path).splitlines(keepends=True)
    (tmp_path / module.NAME).write_bytes(b"".join([*lines[:2], b'{"unit": "uni\n', *lines[2:]]))
    with pytest.raises(CalibrationError, match=r"journal.jsonl:3: the journal is damaged"):
        Journal(tmp_path, IDENTITY, resume=True)


def test_a_journal_of_another_version_is_refused(tmp_path: File) -> None:
    (tmp_path / module.NAME).write_text('{"format": "another", "identity": {}}\n')
    with pytest.raises(CalibrationError, match="not a journal of this version"):
        Journal(tmp_path, IDENTITY, resume=True)


def test_two_processes_cannot_write_to_one_journal(tmp_path: File) -> None:
    with (
        Journal(tmp_path, IDENTITY, resume=False),
        pytest.raises(CalibrationError, match="another process is collecting here"),
    ):
        Journal(tmp_path, IDENTITY, resume=True)
    Journal(tmp_path, IDENTITY, resume=True).__exit__()


def test_a_full_disk_leaves_a_whole_journal(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> None:
    content = begun(tmp_path)

    def full(_handle: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Journal(tmp_path, IDENTITY, resume=True) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(CalibrationError, match=r"cannot be written .*No space left"):
                journal.put("unit 3", {"value": 3})
        assert journal.path.read_bytes() == content
        assert journal.get("unit 3") is None


def test_notes_are_kept_apart_from_units_and_a_later_unit_holds(tmp_path: File) -> None:
    with Journal(tmp_path, IDENTITY, resume=False) as journal:
        journal.note("failed", {"of": "unit 0", "prompt_tokens": 3})
        journal.put("unit 0", {"value": 0})
        journal.put("unit 0", {"value": 1})
    with Journal(tmp_path, IDENTITY, resume=True) as again:
        assert again.get("unit 0") == {"unit": "unit 0", "value": 1}
        assert again.lost == [{"note": "failed", "of": "unit 0", "prompt_tokens": 3}]
    assert finished_units(tmp_path) == again.units
    assert finished_units(tmp_path / "nothing") == {}
