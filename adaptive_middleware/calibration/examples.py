"""Calibration data: paths with their raw step scores and how often they ended right.

One JSON object a line on disk (JSONL, or .jsonl.gz):
`{"problem", "level", "steps": [..], "scores": [..], "done", "success": k, "rollouts": m, "logprobs": [min, mean] | null,
"tokens": n | null}`; the last two may be left out.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path as File
from typing import Any

from adaptive_middleware.calibration.features import FINISHED, kind_of
from adaptive_middleware.errors import CalibrationError
from adaptive_middleware.logprobs import summary


@dataclass(frozen=True, slots=True)
class Example:
    """One path, its raw step scores, and its measured success rate.

    `scores` are in [0, 1]; `steps` is 0 for the question alone, `done` tells a finished answer from a partial
    one. `success` is k/m: the share of `rollouts` continuations that ended right (0 or 1 for a finished answer, however
    often it was judged). `group` is the problem: data is always split by it. `logprobs` are token
    log-probabilities or the pair [min, mean]; `tokens` are the completion tokens of the path so far, None or 0
    where nobody counted.
    """

    scores: tuple[float, ...]
    steps: int
    done: bool
    logprobs: tuple[float, ...] | None
    success: float
    rollouts: int
    group: str
    tokens: int | None = None

    @property
    def kind(self) -> str:
        """`question`, `partial` or `finished`."""
        return kind_of(self.steps, self.done)

    @property
    def trials(self) -> int:
        """Independent trials behind `success`: the rollouts, or 1 for a finished answer."""
        return 1 if self.kind == FINISHED else self.rollouts

    @property
    def right(self) -> int:
        """How many of the trials ended right."""
        return round(self.success * self.trials)


def check(examples: Iterable[Example]) -> None:
    """Raise `CalibrationError` naming the first example that cannot be used, and why."""
    for number, example in enumerate(examples):
        problem = _problem(example)
        if problem:
            message = f"example {number} (problem {example.group!r}): {problem}"
            raise CalibrationError(message)


def _problem(example: Example) -> str | None:
    outside = [score for score in example.scores if not 0 <= score <= 1]
    rate, trials = example.success, example.trials
    measured = 0 <= rate <= 1
    faults = (
        (not example.scores, "it has no scores; leave paths with rejected scores out"),
        (outside, f"step score {outside[:1]!r} is not in [0, 1]; leave paths with rejected scores out"),
        (example.rollouts < 1, f"rollouts={example.rollouts!r}: at least one is needed"),
        (example.steps < 0, f"steps={example.steps!r}: 0 stands for the question alone"),
        (
            example.tokens is not None and example.tokens < 0,
            f"tokens={example.tokens!r}: a count, or None where unknown",
        ),
        (not measured, f"success={rate!r} is not a rate in [0, 1]; it is right / rollouts"),
        (
            measured and abs(rate * trials - round(rate * trials)) > 1e-6,
            f"success={rate!r} is not a whole number of right ends in {trials} (a finished answer is right or wrong)",
        ),
        (
            example.logprobs is not None and summary(example.logprobs) is None,
            f"logprobs={example.logprobs!r} hold no number; use None where the sampler gave none",
        ),
    )
    return next((message for fault, message in faults if fault), None)


def fingerprint(examples: Iterable[Example]) -> str:
    """SHA-256 of the examples as sorted canonical JSON lines: the same data in any order has the same one.

    Unknown `tokens` are left out, so that data without them keeps the fingerprint it had before they were read.
    """
    rows = (astuple(example)[: None if example.tokens is not None else -1] for example in examples)
    lines = sorted(json.dumps(row, separators=(",", ":")) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read(file: File) -> list[Example]:
    """Examples of a JSONL file (gzipped when its name ends in .gz).

    Raises `CalibrationError` with file and line for anything that is not such a row.
    """
    try:
        content = file.read_bytes()
        text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode()
    except FileNotFoundError as error:
        message = f"{file}: no such file; record scored prefixes with their success counts first"
        raise CalibrationError(message) from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        message = f"{file} cannot be read ({error}): restore it or record it again"
        raise CalibrationError(message) from error
    rows = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    return [_row(file, number, line) for number, line in rows]


def _row(file: File, number: int, line: str) -> Example:
    try:
        row: Mapping[str, Any] = json.loads(line)
        logprobs, tokens = row.get("logprobs"), row.get("tokens")
        return Example(
            tuple(float(score) for score in row["scores"]),
            len(row["steps"]),
            bool(row["done"]),
            None if logprobs is None else tuple(float(value) for value in logprobs),
            float(row["success"]) / int(row["rollouts"]),
            int(row["rollouts"]),
            str(row["problem"]),
            None if tokens is None else int(tokens),
        )
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        message = f"{file}:{number}: not a scored prefix ({type(error).__name__}: {error}); see the format"
        raise CalibrationError(message) from error
