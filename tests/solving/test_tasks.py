"""Files of tasks: three forms, and what is said of a line that has none of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from adaptive_middleware.errors import TaskError
from adaptive_middleware.solving.tasks import fingerprint, read_tasks, task_of

HUMAN = {
    "task_id": "HumanEval/900",
    "prompt": 'def twice(x):\n    """Twice x."""\n',
    "entry_point": "twice",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}
MBPP = {
    "task_id": 7,
    "text": " Write a function to double a number. ",
    "code": "def double(x): return 2 * x",
    "test_setup_code": "import math",
    "test_list": ["assert double(2) == 4", "assert double(0) == 0"],
    "challenge_test_list": [],
}
OWN = {"id": "a", "question": "Double a number.", "tests": "assert double(1) == 2", "entry_point": "double"}


def written(folder: Path, *rows: object, name: str = "tasks.jsonl") -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    file = folder / name
    file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return file


@pytest.mark.parametrize("name", ["tasks.jsonl", "tasks.jsonl.gz"])
def test_the_three_forms_become_tasks_in_the_order_of_the_file(tmp_path: Path, name: str) -> None:
    human, mbpp, own = read_tasks(written(tmp_path, HUMAN, "", MBPP, OWN, name=name))
    assert [human.id, mbpp.id, own.id] == ["HumanEval/900", "7", "a"]
    assert [human.entry, mbpp.entry, own.entry] == ["twice", None, "double"]
    assert (human.prompt, mbpp.prompt) == (HUMAN["prompt"], "")
    assert mbpp.question.splitlines() == [
        "Write a function to double a number.",
        "Reply with one Python code block and nothing else.",
        "Your code should pass these tests:",
        *MBPP["test_list"],  # type: ignore[misc]
    ]
    assert own.question == "Double a number."


@pytest.mark.parametrize("row", [HUMAN, MBPP, OWN])
def test_the_tests_of_a_task_pass_with_a_right_answer_and_raise_with_a_wrong_one(row: dict[str, str]) -> None:
    tests = task_of(row).tests
    names = "def twice(x): return {0}\ndef double(x): return {0}\n"
    exec(names.format("2 * x") + tests, {})  # noqa: S102 - the test's own text
    with pytest.raises(AssertionError):
        exec(names.format("3 * x") + tests, {})  # noqa: S102


def test_a_list_of_tests_may_be_written_as_the_text_of_one() -> None:
    assert task_of({**MBPP, "test_list": str(MBPP["test_list"])}) == task_of(MBPP)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "a JSON list, not an object"),
        ({"id": "a"}, r"the fields are \['id'\], but a task has prompt, test and entry_point"),
        ({**OWN, "id": ""}, "task_id is '', but must be"),
        ({**OWN, "tests": " "}, "tests is ' ', but must be a text"),
        ({**MBPP, "test_list": "assert"}, "test_list is 'assert', but must be a list of lines"),
        ({**MBPP, "test_list": [1]}, "must be a list of lines"),
    ],
)
def test_a_line_that_is_no_task_is_refused_with_its_place(tmp_path: Path, row: object, said: str) -> None:
    with pytest.raises(TaskError, match=rf"tasks\.jsonl:2: .*{said}"):
        read_tasks(written(tmp_path, HUMAN, row))


def test_an_id_that_is_there_twice_is_refused_with_both_places(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r":2: id 'a' was there before, at .*:1: give each"):
        read_tasks(written(tmp_path, OWN, OWN))


def test_a_file_that_is_not_there_or_cannot_be_read_or_is_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such file"):
        read_tasks(tmp_path / "none.jsonl")
    broken = tmp_path / "broken.jsonl.gz"
    broken.write_bytes(b"\x1f\x8b broken")
    with pytest.raises(TaskError, match="cannot be read"):
        read_tasks(broken)
    with pytest.raises(TaskError, match="no tasks"):
        read_tasks(written(tmp_path, "", " "))


def test_the_fingerprint_changes_with_any_field() -> None:
    one = task_of(OWN)
    others = [task_of({**OWN, key: "assert x"}) for key in ("id", "question", "tests", "entry_point")]
    assert len({fingerprint([one]), *(fingerprint([other]) for other in others)}) == 5
