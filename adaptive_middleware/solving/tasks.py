"""Programming tasks: what to ask, and the tests that an answer must pass; HumanEval's, MBPP's and our own form."""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path as File
from typing import Any

from adaptive_middleware.errors import TaskError
from adaptive_middleware.verify.judge import Asserts

_SEE = "see docs/code.md"
_BARE = "Reply with one Python code block and nothing else."


@dataclass(frozen=True, slots=True)
class Task:
    """One task. `tests` are Python statements that use the answer's names and raise where it is wrong.

    `prompt` is the code that the answer goes on from (HumanEval), `entry` the name of the function that is asked for;
    either may be absent. `id` names the task in the journal and in `samples.jsonl`.
    """

    id: str
    question: str
    tests: str
    prompt: str = ""
    entry: str | None = None

    @property
    def asserts(self) -> Asserts:
        """The tests, as a verifier takes them."""
        one = (self.entry,) if self.prompt and self.entry is not None else ()
        return Asserts(self.tests, self.prompt, one)


def read_tasks(file: File) -> list[Task]:
    """The tasks of a JSONL file (`.gz` too), in order.

    Raises `TaskError` with file, line and remedy: no such file, bad JSON, a line of none of the three forms, an id twice,
    no line at all.
    """
    lines = [(f"{file}:{number}", line) for number, line in enumerate(_text(file).splitlines(), 1)]
    tasks = [(place, task_of(_row(place, line), place)) for place, line in lines if line.strip()]
    if not tasks:
        message = f"{file}: no tasks; one JSON object a line is needed ({_SEE})"
        raise TaskError(message)
    seen: dict[str, str] = {}
    for place, task in tasks:
        if task.id in seen:
            message = f"{place}: id {task.id!r} was there before, at {seen[task.id]}: give each task its own"
            raise TaskError(message)
        seen[task.id] = place
    return [task for _, task in tasks]


def fingerprint(tasks: Sequence[Task]) -> str:
    """SHA-256 of all fields of all tasks, in order."""
    return hashlib.sha256(json.dumps([asdict(task) for task in tasks]).encode()).hexdigest()


def task_of(row: Mapping[str, Any], place: str = "the task") -> Task:
    r"""The task that a row describes.

    >>> task_of({"task_id": 2, "text": "Add one.", "test_list": ["assert f(1) == 2"]}).question
    'Add one.\nReply with one Python code block and nothing else.\nYour code should pass these tests:\nassert f(1) == 2'
    """
    if {"prompt", "test", "entry_point"} <= row.keys():
        return _human_eval(row, place)
    if "test_list" in row:
        return _mbpp(row, place)
    if {"question", "tests"} <= row.keys():
        entry = _said(row, "entry_point", place) if row.get("entry_point") else None
        return Task(_id(row, place), _said(row, "question", place), _said(row, "tests", place), "", entry)
    message = (
        f"{place}: the fields are {sorted(row)}, but a task has prompt, test and entry_point (HumanEval), text and "
        f"test_list (MBPP), or question and tests ({_SEE})"
    )
    raise TaskError(message)


def _human_eval(row: Mapping[str, Any], place: str) -> Task:
    prompt, entry = _said(row, "prompt", place), _said(row, "entry_point", place)
    question = f"Complete this Python function. {_BARE}\n```python\n{prompt.rstrip()}\n```"
    tests = f"{_said(row, 'test', place)}\n\ncheck({entry})\n"
    return Task(_id(row, place), question, tests, prompt, entry)


def _mbpp(row: Mapping[str, Any], place: str) -> Task:
    tests = _listed(row["test_list"], place)
    what = _said(row, "text" if "text" in row else "prompt", place)
    question = "\n".join([what.strip(), _BARE, "Your code should pass these tests:", *tests])
    setup = [*_listed(row.get("test_imports", []), place), row.get("test_setup_code") or ""]
    return Task(_id(row, place), question, "\n".join([*filter(None, setup), *tests, ""]))


def _listed(value: object, place: str) -> list[str]:
    """A list of source lines, written as a list or as the text of one (some copies of MBPP)."""
    found: object = value
    if isinstance(value, str):
        try:
            found = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found = None
    if isinstance(found, list) and all(isinstance(line, str) for line in found):
        return [str(line) for line in found]
    message = f"{place}: test_list is {str(value)[:80]!r}, but must be a list of lines ({_SEE})"
    raise TaskError(message)


def _said(row: Mapping[str, Any], key: str, place: str) -> str:
    value = row.get(key)
    if isinstance(value, str) and value.strip():
        return value
    message = f"{place}: {key} is {str(value)[:80]!r}, but must be a text that says something ({_SEE})"
    raise TaskError(message)


def _id(row: Mapping[str, Any], place: str) -> str:
    value = row.get("task_id", row.get("id"))
    if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
        return str(value)
    message = f"{place}: task_id is {value!r}, but must be a text or a whole number: it names the task"
    raise TaskError(message)


def _text(file: File) -> str:
    try:
        content = file.read_bytes()
        return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")
    except FileNotFoundError as error:
        message = f"{file}: no such file; give the path of a JSONL file of tasks ({_SEE})"
        raise TaskError(message) from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        message = (
            f"{file} cannot be read ({error}); a UTF-8 file with one JSON object a line is needed, or its .gz"
        )
        raise TaskError(message) from error


def _row(place: str, line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        message = f"{place}: not JSON ({error}); a task is one JSON object on one line ({_SEE})"
        raise TaskError(message) from error
    if isinstance(row, dict):
        return row
    message = f"{place}: a JSON {type(row).__name__}, not an object that describes a task ({_SEE})"
    raise TaskError(message)
