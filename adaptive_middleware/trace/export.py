"""Kept calls for other tools: as they are, as a store that `audit` reads, or as a recording to replay and calibrate on."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path as File
from typing import Any

from adaptive_middleware.errors import TraceError
from adaptive_middleware.recording import Problem, RecordedSample, write_recording
from adaptive_middleware.trace.explain import moment
from adaptive_middleware.trace.reading import Kept


def json_lines(calls: Iterable[Kept]) -> Iterator[str]:
    """Each call whole, one JSON object a line, with `time` as ISO 8601."""
    for call in calls:
        yield json.dumps({**asdict(call), "time": moment(call.at)}, allow_nan=False)


def audit_lines(calls: Iterable[Kept]) -> Iterator[str]:
    """The reports with what came of them, as docs/audit.md describes; calls that were passed through have none.

    `id` is the same for calls with the same question, where that is kept; `call` is the call's own.
    """
    for call in calls:
        if call.report is not None:
            asked = (
                call.id if call.question is None else hashlib.sha256(call.question.encode()).hexdigest()[:16]
            )
            line = {**call.report, "id": asked, "call": call.id, "time": call.at, "correct": call.correct}
            yield json.dumps(line, allow_nan=False)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The problems of a recording, and how many calls and samples it lacks because texts or outcomes are not known."""

    problems: tuple[Problem, ...]
    calls: int
    without_texts: int
    unknown_samples: int


def recorded(calls: Iterable[Kept]) -> Recorded:
    """Kept calls as a recording; calls with the same question are one problem.

    A sample is right or wrong by its verdict of a verifier, or else by feedback: the returned answer as it says, samples that
    gave the same answer, too, and where that was right, those that gave another one are wrong (one answer is right). Samples
    that this does not tell are left out. Raises `TraceError` when nothing is left.
    """
    problems: dict[str, Problem] = {}
    taken = without_texts = unknown = 0
    for call in calls:
        if call.level not in {"redacted", "full"} or call.question is None or call.report is None:
            without_texts += 1
            continue
        samples = _samples(call, call.report)
        unknown += len(call.report["candidates"]) - len(samples)
        if samples:
            taken += 1
            problems[call.question] = _grown(problems.get(call.question), call, samples)
    if not problems:
        message = (
            f"nothing to record: {without_texts} calls were passed through or kept without texts, and of {unknown} samples "
            "it is not known whether they are right; say so by `adaptive-middleware feedback` (docs/traces.md)"
        )
        raise TraceError(message)
    return Recorded(tuple(problems.values()), taken, without_texts, unknown)


def _grown(known: Problem | None, call: Kept, samples: tuple[RecordedSample, ...]) -> Problem:
    if known is None:
        raw = ((call.report or {}).get("question") or {}).get("raw")
        return Problem(call.id, call.question or "", samples, question_score=raw, extra={"time": call.at})
    return replace(known, samples=(*known.samples, *samples))


def _samples(call: Kept, report: dict[str, Any]) -> tuple[RecordedSample, ...]:
    rows = zip(report["candidates"], call.details["samples"], strict=True)
    judged = [
        (known_right(call, report, number), candidate, kept) for number, (candidate, kept) in enumerate(rows)
    ]
    return tuple(_sample(right, candidate, kept) for right, candidate, kept in judged if right is not None)


def known_right(call: Kept, report: dict[str, Any], number: int) -> bool | None:
    """Whether a sample of a call is right, as far as verdicts and feedback tell (see `recorded`)."""
    candidate, chosen = report["candidates"][number], report["chosen"]
    if candidate["verified"] is not None:
        return bool(candidate["verified"])
    if call.correct is None or chosen is None or report["abstained"] is not None:
        return None
    answer, returned = candidate["answer"], report["candidates"][chosen]["answer"]
    if number == chosen or (answer is not None and answer == returned):
        return call.correct
    return False if call.correct and answer is not None and returned is not None else None


def _sample(right: bool, candidate: dict[str, Any], kept: dict[str, Any]) -> RecordedSample:
    steps: list[str] = kept["steps"]
    logprobs = kept["logprobs"]
    known = logprobs is not None and None not in logprobs
    return RecordedSample(
        text="".join(steps),
        correct=right,
        tokens=candidate["completion_tokens"],
        scores=tuple(candidate["step_scores"] or ()) or None,
        answer=candidate["answer"],
        logprobs=tuple(logprobs) if known else None,
        step_ends=tuple(accumulate(map(len, steps))) or None,
    )


def write_lines(file: File, lines: Iterable[str], *, force: bool) -> int:
    """Write lines to a file that only its owner can read, all of them or none; returns how many.

    Raises `TraceError` for a file that is there (unless `force`) or cannot be written.
    """
    count = 0

    def write(target: File) -> None:
        nonlocal count
        with target.open("w", encoding="utf-8") as out:
            for line in lines:
                out.write(f"{line}\n")
                count += 1

    placed(file, write, force=force)
    return count


def write_problems(file: File, problems: Iterable[Problem], *, force: bool) -> None:
    """Write a recording, as `write_lines` does."""
    placed(file, lambda target: write_recording(target, problems), force=force)


def placed(file: File, write: Callable[[File], None], *, force: bool) -> None:
    """Have `write` fill a file beside `file`, which then takes its place; raises as `write_lines`."""
    if file.exists() and not force:
        message = f"{file} is there already; choose another file, or replace it by --force"
        raise TraceError(message)
    try:
        with tempfile.TemporaryDirectory(prefix=".export-", dir=file.parent) as folder:
            partial = File(folder, file.name)
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT, 0o600))
            write(partial)
            partial.chmod(0o600)
            partial.replace(file)
    except OSError as error:
        message = f"{file}: cannot be written ({error})"
        raise TraceError(message) from error
