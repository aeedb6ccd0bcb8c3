"""Prompts: the questions to calibrate on, one JSON object a line, with what their answers are checked against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any

from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.recording import Problem, read_recording

_SEE = "see docs/calibrate.md"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question; `fields` are all fields of its line: what a check may look at."""

    id: str
    question: str
    fields: Mapping[str, object] = field(default_factory=dict)

    @property
    def level(self) -> object:
        """The prompt's label (`level` or `difficulty`), or None."""
        return self.fields.get("level", self.fields.get("difficulty"))


def read_prompts(file: File) -> list[Prompt] | list[Problem]:
    """The prompts of a JSONL file, or the problems of a recording: its first line has `samples` or `n_correct`.

    Raises `CalibrationError` with file, line and remedy (bad JSON, no id or question, an id twice, nothing at all), and
    `RecordingError` for a recording.
    """
    if file.suffix == ".gz":
        return read_recording(file)
    lines = [(number, line) for number, line in enumerate(_text(file).splitlines(), 1) if line.strip()]
    if not lines:
        message = f"{file}: no prompts; one JSON object a line is needed ({_SEE})"
        raise CalibrationError(message)
    rows = [(f"{file}:{number}", _row(f"{file}:{number}", line)) for number, line in lines[:1]]
    if {"samples", "n_correct"} & rows[0][1].keys():
        return read_recording(file)
    rows += [(f"{file}:{number}", _row(f"{file}:{number}", line)) for number, line in lines[1:]]
    return _distinct([(place, _prompt(place, row)) for place, row in rows])


def fingerprint(prompts: Sequence[Prompt]) -> str:
    """SHA-256 of all fields of all prompts, in order."""
    rows = [[prompt.id, prompt.question, dict(prompt.fields)] for prompt in prompts]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _text(file: File) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        message = f"{file}: no such file; give the path of a JSONL file of prompts, or of a recording"
        raise CalibrationError(message) from error
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file} cannot be read ({error}); a UTF-8 file with one JSON object a line is needed"
        raise CalibrationError(message) from error


def _row(place: str, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        message = f"{place}: not JSON ({error}); a prompt is one JSON object on one line ({_SEE})"
        raise CalibrationError(message) from error
    if not isinstance(row, dict):
        message = f"{place}: a JSON {type(row).__name__}, not an object with 'id' and 'question' ({_SEE})"
        raise CalibrationError(message)
    return row


def _refused(name: str) -> object:
    message = f"{name} is not JSON"
    raise ValueError(message)


def _prompt(place: str, row: Mapping[str, Any]) -> Prompt:
    name, question = row.get("id"), row.get("question")
    if isinstance(name, bool) or not isinstance(name, (str, int)) or name == "":
        message = f"{place}: id is {name!r}, but must be a text or a whole number: it names the prompt"
        raise CalibrationError(message)
    if not isinstance(question, str) or not question.strip():
        message = f"{place}: question is {question!r}, but must be the text to ask"
        raise CalibrationError(message)
    return Prompt(str(name), question, row)


def _distinct(found: Sequence[tuple[str, Prompt]]) -> list[Prompt]:
    seen: dict[str, str] = {}
    for place, prompt in found:
        if prompt.id in seen:
            message = f"{place}: id {prompt.id!r} was there before, at {seen[prompt.id]}: give each prompt its own id"
            raise CalibrationError(message)
        seen[prompt.id] = place
    return [prompt for _, prompt in found]
