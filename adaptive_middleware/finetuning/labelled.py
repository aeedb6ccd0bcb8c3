"""Training data: calibration examples together with the texts that a process reward model reads."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as File

from adaptive_middleware.calibration.conformal import FEWEST_PROBLEMS
from adaptive_middleware.calibration.examples import Example, check
from adaptive_middleware.calibration.examples import read as read_examples
from adaptive_middleware.calibration.features import FINISHED
from adaptive_middleware.errors import CalibrationError


@dataclass(frozen=True, slots=True)
class Labelled:
    """One path to learn from: the question, the steps as written, and how often it ended right."""

    question: str
    steps: tuple[str, ...]
    example: Example


def read(examples: File, questions: Sequence[File]) -> list[Labelled]:
    """Examples of a file in the format of `calibration.examples`, with the texts of their questions from others.

    `questions` are JSONL (or .jsonl.gz) with `id` and `question`: recordings, or the prompts of a collection. Raises
    `CalibrationError` naming file and line, or the first problem whose question is missing.
    """
    found = read_examples(examples)
    texts = _questions(questions)
    labelled = []
    for example, steps in zip(found, _steps(examples), strict=True):
        if example.group not in texts:
            message = (
                f"{' and '.join(map(str, questions))}: no question for the problem {example.group!r} of {examples}; give the "
                "file that it was collected from"
            )
            raise CalibrationError(message)
        labelled.append(Labelled(texts[example.group], steps, example))
    return labelled


def check_trainable(labelled: Sequence[Labelled]) -> None:
    """Raise `CalibrationError` for data that nothing can be learned from, and say what is missing."""
    if not labelled:
        message = "no examples: fine-tuning needs paths with measured success"
        raise CalibrationError(message)
    examples = [one.example for one in labelled]
    check(examples)
    rates = {example.success for example in examples}
    if rates <= {0.0} or rates <= {1.0}:
        what, add = ("right", "harder") if rates == {1.0} else ("wrong", "easier")
        message = f"all {len(labelled)} examples end {what}: add {add} problems"
        raise CalibrationError(message)
    problems = len({example.group for example in examples})
    if problems < FEWEST_PROBLEMS:
        message = f"{problems} problems are too few to fine-tune on: at least {FEWEST_PROBLEMS} are needed, some hundreds to learn something"
        raise CalibrationError(message)


def unfinished(labelled: Iterable[Labelled]) -> list[Labelled]:
    """Those that the paper trains on: questions and partial answers."""
    return [one for one in labelled if one.example.kind != FINISHED]


def _lines(file: File) -> list[tuple[int, str]]:
    try:
        content = file.read_bytes()
        text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode()
    except (OSError, EOFError, ValueError) as error:
        message = f"{file} cannot be read ({error}): correct the path, or write the file again"
        raise CalibrationError(message) from error
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _steps(file: File) -> list[tuple[str, ...]]:
    """The steps of each row; `read_examples` has checked the rest of it."""
    found = []
    for number, line in _lines(file):
        steps = json.loads(line)["steps"]
        if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
            message = f"{file}:{number}: steps={steps!r}: the texts of the steps are needed, as a list"
            raise CalibrationError(message)
        found.append(tuple(steps))
    return found


def _questions(files: Sequence[File]) -> Mapping[str, str]:
    texts: dict[str, str] = {}
    for file, number, line in ((one, *found) for one in files for found in _lines(one)):
        try:
            row = json.loads(line)
            name, question = str(row["id"]), row["question"]
        except (ValueError, KeyError, TypeError) as error:
            message = f"{file}:{number}: not a row with `id` and `question` ({type(error).__name__}: {error})"
            raise CalibrationError(message) from error
        if not isinstance(question, str) or texts.setdefault(name, question) != question:
            message = (
                f"{file}:{number}: the question of {name!r} is no text, or differs from an earlier line's"
            )
            raise CalibrationError(message)
    return texts
