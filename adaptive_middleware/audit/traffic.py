"""A recording as an audit reads it: problems in order, and what was scored of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path as File

from adaptive_middleware.audit.judged import Judged
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.errors import RecordingError
from adaptive_middleware.ports import Calibrator
from adaptive_middleware.recording import Problem, read_recording
from adaptive_middleware.replay import Tape, take, tape
from adaptive_middleware.types import Estimate, Path, StepScores


@dataclass(frozen=True, slots=True)
class Scored:
    """A path with its scores, as live calls hand it to a calibration, and the same as a calibration example."""

    path: Path
    scores: StepScores
    example: Example


@dataclass(frozen=True, slots=True)
class Traffic:
    """Recorded problems in order: their tapes, and their scored `answers` and `questions`.

    `timed` tells that every problem has a `time`, by which they are then ordered; `notes` say what was left out.
    """

    tapes: tuple[Tape, ...]
    answers: tuple[Scored, ...]
    questions: tuple[Scored, ...]
    timed: bool
    notes: tuple[str, ...]

    @property
    def examples(self) -> list[Example]:
        """All there is to fit a calibration to."""
        return [scored.example for scored in (*self.questions, *self.answers)]


def estimates_of(scored: Sequence[Scored], calibrate: Calibrator) -> list[Estimate]:
    """The estimate of each path."""
    return [calibrate(one.path, one.scores) for one in scored]


def judged(scored: Sequence[Scored], estimates: Sequence[Estimate]) -> Judged:
    """Paths with their estimates, as given probability and outcome."""
    return Judged(
        tuple(estimate.mean for estimate in estimates),
        tuple(one.example.success for one in scored),
        tuple(one.example.group for one in scored),
    )


def read_traffic(file: File) -> Traffic:
    """The traffic of a recording.

    Raises `RecordingError` as `read_recording`, and when there are only counts of right samples.
    """
    problems = read_recording(file)
    sampled = [problem for problem in problems if not problem.verified]
    if not sampled:
        message = (
            f"{file}: only counts (n, n_correct), no samples: neither probabilities nor votes can be audited; "
            "record the samples (docs/recordings.md)"
        )
        raise RecordingError(message)
    times = [_time(file, problem) for problem in sampled]
    known = [time for time in times if time is not None]
    timed = len(known) == len(sampled)
    if timed:
        sampled = [sampled[i] for i in sorted(range(len(known)), key=lambda i: known[i])]
    tapes = tuple(tape(problem) for problem in sampled)
    answers = tuple(scored for one in tapes for scored in _answers(one))
    questions = tuple(_question(one) for one in tapes if one.question.values)
    notes = _notes(
        len(problems) - len(sampled), sum(len(one.paths) for one in tapes) - len(answers) if answers else 0
    )
    return Traffic(tapes, answers, questions, timed, tuple(notes))


def _answers(one: Tape) -> Iterator[Scored]:
    for path in one.paths:
        scores = take(path).scores
        if path.steps and scores.values:
            tokens = path.usage.completion_tokens or None
            success = float(take(path).correct)
            example = Example(
                scores.values,
                len(path.steps),
                True,
                path.logprobs,
                success,
                1,
                str(one.request.run_id),
                tokens,
            )
            yield Scored(path, scores, example)


def _question(one: Tape) -> Scored:
    right = [float(take(path).correct) for path in one.paths]
    rate, group = fsum(right) / len(right), str(one.request.run_id)
    example = Example(one.question.values, 0, False, None, rate, len(right), group)
    return Scored(Path(done=False), one.question, example)


def _time(file: File, problem: Problem) -> float | None:
    value = problem.extra.get("time")
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    message = f"{file}: problem {problem.id!r}: 'time' is {value!r}, but must be seconds since 1970"
    raise RecordingError(message)


def _notes(counts: int, unscored: int) -> list[str]:
    notes = []
    if counts:
        notes.append(f"{counts} problems with counts only (n, n_correct) left out")
    if unscored:
        notes.append(f"{unscored} samples have no scores: they vote, but have no probability to audit")
    return notes
