"""The Recording format: one problem a line, with its samples or with counts of right ones; see docs/recordings.md.

JSONL, gzipped or not. Fields that are not known here are kept in `extra`, so nothing of a recording is lost
when it is read and written again.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path as File
from typing import IO, TypeAlias
from zlib import error as ZlibError  # noqa: N812 - an exception, named like one

from adaptive_middleware.errors import RecordingError
from adaptive_middleware.recording_fields import Row
from adaptive_middleware.steps import split_steps

Place: TypeAlias = str | os.PathLike[str]
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class RecordedSample:
    """One finished answer: its text, cost, and whether it was right.

    `tokens` is the completion length; `tokens_estimated` says that it is only the number of words. `scores`
    are one per step, `prm_score` one for the whole answer, all in [0, 1]. `step_ends` are the character
    offsets at which the steps end, ascending to `len(text)`; without them `steps.split_steps` cuts. `logprobs`
    are token log-probabilities or the pair [min, mean], `step_logprobs` one such pair per step, `step_tokens` the
    tokens of each step; `seed` names the run that drew the sample.
    """

    text: str
    correct: bool
    tokens: int
    scores: tuple[float, ...] | None = None
    answer: str | None = None
    prm_score: float | None = None
    logprobs: tuple[float, ...] | None = None
    step_ends: tuple[int, ...] | None = None
    step_tokens: tuple[int, ...] | None = None
    step_logprobs: tuple[tuple[float, float], ...] | None = None
    seed: int | None = None
    tokens_estimated: bool = False
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """One recorded question: either `samples`, or a verified pool of `n` samples with `n_correct` right ones.

    `question_score` is the process reward model's score of the question alone, in [0, 1].
    """

    id: str
    question: str = ""
    samples: tuple[RecordedSample, ...] = ()
    n: int = 0
    n_correct: int = 0
    level: int | str | None = None
    question_score: float | None = None
    question_tokens: int | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def verified(self) -> bool:
        """Whether there are only counts, not samples."""
        return not self.samples

    @property
    def size(self) -> int:
        """How many samples there are to draw."""
        return len(self.samples) or self.n


def steps_of(sample: RecordedSample) -> tuple[str, ...]:
    """The steps of a sample's text, cut at `step_ends` where they are recorded."""
    if sample.step_ends is None:
        return tuple(split_steps(sample.text))
    return tuple(sample.text[start:end] for start, end in pairwise((0, *sample.step_ends)))


def read_recording(file: Place) -> list[Problem]:
    """All problems of a recording.

    Raises `RecordingError` with file, line and remedy: missing file, broken gzip, bad JSON, a missing field
    or one of a wrong type, NaN, an id that was there before, no problem at all.
    """
    return list(stream_recording(file))


def stream_recording(file: Place) -> Iterator[Problem]:
    """Problems one at a time, in constant memory but for their ids; raises as `read_recording`."""
    seen: dict[str, int] = {}
    with _opened(File(file)) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            problem = _problem(Row.parse(f"{file}:{number}", line))
            if problem.id in seen:
                message = (
                    f"{file}:{number}: id {problem.id!r} is already on line {seen[problem.id]}; "
                    "put all samples of a problem on one line"
                )
                raise RecordingError(message)
            seen[problem.id] = number
            yield problem
    if not seen:
        message = f"{file}: no problems; a recording has one JSON object a line (see docs/recordings.md)"
        raise RecordingError(message)


def write_recording(file: Place, problems: Iterable[Problem]) -> None:
    """Write problems as JSONL, gzipped when the name ends in .gz; an older file is replaced only at the end."""
    target = File(file)
    partial = target.with_name(f".{target.name}.partial")
    lines = (json.dumps(_problem_row(problem), ensure_ascii=False, allow_nan=False) for problem in problems)
    text = (f"{line}\n".encode() for line in lines)
    try:
        with partial.open("wb") as raw:
            if target.suffix == ".gz":
                with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
                    packed.writelines(text)
            else:
                raw.writelines(text)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _opened(file: File) -> Iterator[Iterable[str]]:
    try:
        with file.open("rb") as raw:
            packed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if file.suffix == ".gz" and not packed:
                message = f"{file}: not gzip, though its name says so; rename it or compress it"
                raise RecordingError(message)
            with TextIOWrapper(_unpacked(raw, packed), encoding="utf-8-sig") as lines:
                yield lines
    except FileNotFoundError as error:
        message = f"{file}: no such file; give the path of a .jsonl or .jsonl.gz recording"
        raise RecordingError(message) from error
    except UnicodeDecodeError as error:
        message = f"{file}: not UTF-8 text ({error.reason} at byte {error.start}); is it a recording?"
        raise RecordingError(message) from error
    except (OSError, EOFError, ZlibError) as error:
        message = f"{file}: cannot be read ({error}); if it is gzip, it is damaged or cut off"
        raise RecordingError(message) from error


def _unpacked(raw: IO[bytes], packed: bool) -> IO[bytes]:
    return gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[return-value] # as good as one


def _problem(row: Row) -> Problem:
    counts = (0, 0)
    samples: tuple[RecordedSample, ...] = ()
    if row.has("samples"):
        samples = tuple(_sample(one) for one in row.rows("samples"))
    else:
        counts = row.counts("n", "n_correct")
    return Problem(
        id=row.name("id"),
        question=row.text("question", ""),
        samples=samples,
        n=counts[0],
        n_correct=counts[1],
        level=row.label("level", "difficulty"),
        question_score=row.probability("question_score"),
        question_tokens=row.count("question_tokens"),
        extra=row.rest(),
    )


def _sample(row: Row) -> RecordedSample:
    text = row.text("text")
    tokens = row.count("tokens")
    sample = RecordedSample(
        text=text,
        correct=row.flag("correct"),
        tokens=len(text.split()) if tokens is None else tokens,
        scores=row.probabilities("scores"),
        answer=row.optional_text("answer"),
        prm_score=row.score("prm_score", "rm_score"),
        logprobs=row.numbers("logprobs"),
        step_ends=row.ends("step_ends", text),
        step_tokens=row.tallies("step_tokens"),
        step_logprobs=row.pairs("step_logprobs"),
        seed=row.count("seed"),
        tokens_estimated=tokens is None,
        extra=row.rest(),
    )
    if sample.scores is not None and len(sample.scores) > max(len(steps_of(sample)), 1):
        row.refuse(f"{len(sample.scores)} scores for {len(steps_of(sample))} steps; give 'step_ends'")
    for name, values in (("step_tokens", sample.step_tokens), ("step_logprobs", sample.step_logprobs)):
        if values is not None and len(values) != len(steps_of(sample)):
            row.refuse(f"{len(values)} {name} for {len(steps_of(sample))} steps; give one for each, or none")
    return sample


def _problem_row(problem: Problem) -> dict[str, object]:
    row: dict[str, object] = {"id": problem.id, "question": problem.question}
    if problem.verified:
        row |= {"n": problem.n, "n_correct": problem.n_correct}
    else:
        row |= {"samples": [_sample_row(sample) for sample in problem.samples]}
    optional = {
        "level": problem.level,
        "question_score": problem.question_score,
        "question_tokens": problem.question_tokens,
    }
    return row | _known(optional) | dict(problem.extra)


def _sample_row(sample: RecordedSample) -> dict[str, object]:
    row: dict[str, object] = {"text": sample.text}
    if not sample.tokens_estimated:
        row["tokens"] = sample.tokens
    row |= {
        "correct": sample.correct,
        "scores": sample.scores,
        "answer": sample.answer,
        "prm_score": sample.prm_score,
    }
    optional = {
        "logprobs": sample.logprobs,
        "step_ends": sample.step_ends,
        "step_tokens": sample.step_tokens,
        "step_logprobs": sample.step_logprobs,
        "seed": sample.seed,
    }
    return row | _known(optional) | dict(sample.extra)


def _known(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
