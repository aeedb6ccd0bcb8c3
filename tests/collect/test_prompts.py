"""Prompts: what a line must hold, and what is said of one that does not."""

from __future__ import annotations

import json
from pathlib import Path as File

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaptive_middleware.collect.prompts import Prompt, fingerprint, read_prompts
from adaptive_middleware.errors import CalibrationError, RecordingError
from adaptive_middleware.recording import Problem, RecordedSample, write_recording

GOOD = {"id": "a", "question": "2 + 2?", "answer": "4", "level": 3}


def written(folder: File, *rows: object) -> File:
    file = folder / "prompts.jsonl"
    file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return file


def test_all_fields_of_a_line_are_kept_for_the_check(tmp_path: File) -> None:
    (first, second) = read_prompts(
        written(tmp_path, GOOD, "", {"id": 7, "question": "?", "difficulty": "hard"})
    )
    assert isinstance(first, Prompt)
    assert isinstance(second, Prompt)
    assert (first.id, first.question, first.level, first.fields["answer"]) == ("a", "2 + 2?", 3, "4")
    assert (second.id, second.level) == ("7", "hard")


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ("{", r":2: not JSON"),
        ('{"id": "b", "question": "?", "answer": NaN}', r":2: not JSON \(NaN is not JSON\)"),
        ("[1]", r":2: a JSON list, not an object"),
        ({"question": "?"}, r":2: id is None, but must be"),
        ({"id": True, "question": "?"}, r":2: id is True, but must be"),
        ({"id": "", "question": "?"}, r":2: id is '', but must be"),
        ({"id": "b"}, r":2: question is None, but must be"),
        ({"id": "b", "question": " "}, r":2: question is ' ', but must be"),
        ({"id": "a", "question": "?"}, r":2: id 'a' was there before, at .*:1: give each prompt its own id"),
    ],
)
def test_a_bad_line_is_named_with_its_place_and_value(tmp_path: File, row: object, cause: str) -> None:
    with pytest.raises(CalibrationError, match=cause):
        read_prompts(written(tmp_path, GOOD, row))


def test_a_text_and_a_number_that_look_alike_are_the_same_id(tmp_path: File) -> None:
    with pytest.raises(CalibrationError, match="was there before"):
        read_prompts(written(tmp_path, {"id": 1, "question": "?"}, {"id": "1", "question": "?"}))


def test_a_file_that_cannot_be_read_is_named(tmp_path: File) -> None:
    with pytest.raises(CalibrationError, match="no such file"):
        read_prompts(tmp_path / "nothing.jsonl")
    with pytest.raises(CalibrationError, match="no prompts"):
        read_prompts(written(tmp_path, ""))
    (tmp_path / "latin").write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(CalibrationError, match="cannot be read"):
        read_prompts(tmp_path / "latin")
    with pytest.raises(CalibrationError, match="cannot be read"):
        read_prompts(tmp_path)


def test_a_recording_is_told_from_prompts(tmp_path: File) -> None:
    problems = [
        Problem("a", samples=(RecordedSample("4", correct=True, tokens=1),)),
        Problem("b", n=2, n_correct=1),
    ]
    for name in ("r.jsonl", "r.jsonl.gz"):
        write_recording(tmp_path / name, problems)
        assert [type(each) for each in read_prompts(tmp_path / name)] == [Problem, Problem]
    write_recording(tmp_path / "pool.jsonl", problems[1:])
    assert [each.id for each in read_prompts(tmp_path / "pool.jsonl")] == ["b"]
    (tmp_path / "bad.jsonl").write_text('{"id": "a", "samples": []}\n')
    with pytest.raises(RecordingError):
        read_prompts(tmp_path / "bad.jsonl")


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=2, max_size=4, unique=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_change_of_the_prompts_changes_their_fingerprint(rows: list[tuple[str, str]]) -> None:
    prompts = [Prompt(name, question, {"question": question}) for name, question in rows]
    assert fingerprint(prompts) == fingerprint(list(prompts))
    assert fingerprint(prompts) != fingerprint(prompts[::-1])
    assert fingerprint(prompts) != fingerprint(prompts[1:])
    other = Prompt(prompts[0].id, prompts[0].question, {"question": prompts[0].question, "answer": 1})
    assert fingerprint(prompts) != fingerprint([other, *prompts[1:]])
