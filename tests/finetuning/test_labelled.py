"""Training data that cannot be used is refused with file, line and remedy."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.finetuning.labelled import check_trainable, read, unfinished
from tests.finetuning.world import labelled, written


def test_reading_gives_back_what_was_written(tmp_path: Path) -> None:
    data = labelled(5)
    examples, questions = written(tmp_path, data)
    assert read(examples, [questions]) == data


def test_questions_may_come_from_several_files(tmp_path: Path) -> None:
    examples, questions = written(tmp_path, labelled(4))
    lines = questions.read_text().splitlines()
    parts = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for part, own in zip(parts, (lines[:2], lines[1:]), strict=True):
        part.write_text("\n".join(own))
    assert read(examples, parts) == labelled(4)


def test_a_missing_question_is_named(tmp_path: Path) -> None:
    examples, questions = written(tmp_path, labelled(3))
    questions.write_text("\n".join(questions.read_text().splitlines()[:2]))
    with pytest.raises(CalibrationError, match=r"no question for the problem 'p0-2' of .*a\.jsonl\.gz"):
        read(examples, [questions])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", r"q\.jsonl:1: not a row with `id` and `question` \(JSONDecodeError"),
        ('{"id": "a"}', "KeyError"),
        ("7", "TypeError"),
        ('{"id": "a", "question": 3}', "the question of 'a' is no text"),
        (
            '{"id": "a", "question": "b"}\n{"id": "a", "question": "c"}',
            r"q\.jsonl:2: .*differs from an earlier",
        ),
    ],
)
def test_garbled_questions_are_named_by_line(tmp_path: Path, line: str, said: str) -> None:
    examples, _ = written(tmp_path, labelled(1))
    (tmp_path / "q.jsonl").write_text(line)
    with pytest.raises(CalibrationError, match=said):
        read(examples, [tmp_path / "q.jsonl"])


def test_steps_must_be_texts(tmp_path: Path) -> None:
    row = {"problem": "p0-0", "steps": [1], "scores": [0.5], "done": True, "success": 1, "rollouts": 1}
    _, questions = written(tmp_path, labelled(1))
    (tmp_path / "e.jsonl").write_text(json.dumps(row))
    with pytest.raises(CalibrationError, match=r"e\.jsonl:1: steps=\[1\]: the texts of the steps are needed"):
        read(tmp_path / "e.jsonl", [questions])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    examples, _ = written(tmp_path, labelled(1))
    with pytest.raises(CalibrationError, match=r"nowhere\.jsonl cannot be read"):
        read(examples, [tmp_path / "nowhere.jsonl"])


@pytest.mark.parametrize(("rate", "said"), [(0.0, "end wrong: add easier"), (1.0, "end right: add harder")])
def test_data_of_one_outcome_teaches_nothing(rate: float, said: str) -> None:
    data = [replace(one, example=replace(one.example, success=rate)) for one in labelled(12)]
    with pytest.raises(CalibrationError, match=said):
        check_trainable(data)


def test_too_little_data_is_refused() -> None:
    with pytest.raises(CalibrationError, match="no examples"):
        check_trainable([])
    with pytest.raises(CalibrationError, match="8 problems are too few to fine-tune on: at least 9"):
        check_trainable(labelled(8))
    check_trainable(labelled(9))


def test_unfinished_leaves_out_finished_answers_only() -> None:
    kinds = [one.example.kind for one in unfinished(labelled(3))]
    assert kinds == ["question", "partial"] * 3
