"""The store format: reports of calls with what came of them, one JSON object a line; see docs/audit.md.

A line is what `report.report` gives, with `"correct": true | false` added, and optionally `"id"` (calls with the
same one ask the same question) and `"time"`. A last line that was cut while it was written is left out and said so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path as File
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adaptive_middleware.audit.lines import lines_of
from adaptive_middleware.errors import RecordingError

_VERIFIED = ("verified", "first of candidates that all failed verification")
_Probability = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the `p` that was reported, whether the answer was `correct`, and the scores it rests on.

    `time` is in seconds since 1970. `mean`, `step_scores` and `tokens` are those of the returned answer, the scores
    rounded as reports round them; None (0 tokens) where the report has none.
    """

    p: float
    correct: bool
    id: str
    time: float | None = None
    mean: float | None = None
    step_scores: tuple[float, ...] | None = None
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Store:
    """The calls that can be audited, in time order if `timed`, else in file order; `notes` say what was left out."""

    calls: tuple[Call, ...]
    timed: bool
    notes: tuple[str, ...]


def read_store(file: File) -> Store:
    """The calls of a store whose calibrated probability and outcome are known.

    Raises `RecordingError` with file, line, field and remedy: unreadable, a broken line that is not the last one, a
    field of a wrong type or out of range, or no call that can be audited.
    """
    calls: list[Call] = []
    left_out: Counter[str] = Counter()
    lines = lines_of(file)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found = _call(f"{file}:{number}", line, last=number == len(lines))
        if isinstance(found, Call):
            calls.append(found)
        else:
            left_out[found] += 1
    notes = [f"{count} line{'s' * (count > 1)} left out: {why}" for why, count in left_out.items()]
    if not calls:
        message = f"{file}: no call can be audited; {'; '.join(notes)}"
        raise RecordingError(message)
    return _ordered(calls, notes)


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class _Estimate(_Part):
    mean: _Probability


class _Candidate(_Part):
    estimate: _Estimate | None = None
    step_scores: tuple[_Probability, ...] | None = None
    completion_tokens: Annotated[int, Field(ge=0)] = 0


class _Line(_Part):
    strategy: str
    decisions: tuple[dict[str, object], ...]
    correct: bool | None = None
    p: _Probability | None = None
    calibrated: bool = False
    selected_by: str | None = None
    abstained: str | None = None
    chosen: Annotated[int, Field(ge=0)] | None = None
    candidates: tuple[_Candidate, ...] = ()
    id: int | str | None = None
    time: float | str | None = None


def _call(place: str, line: bytes, *, last: bool) -> Call | str:
    """The call of a line, or why the line says nothing of the calibration."""
    try:
        found = _Line.model_validate_json(line)
    except ValidationError as error:
        if last and error.errors()[0]["type"] == "json_invalid":
            return "the last one was cut while it was written"
        raise _refused(place, error) from error
    if found.correct is None:
        return "its outcome ('correct') is not known"
    if found.p is None:
        return "no probability was reported (decided by votes)"
    if why := _foreign(found):
        return why
    candidates = [] if found.chosen is None else found.candidates[found.chosen : found.chosen + 1]
    chosen = next(iter(candidates), _Candidate())
    return Call(
        found.p,
        found.correct,
        f"the call at {place}" if found.id is None else str(found.id),
        _time(place, found.time),
        None if chosen.estimate is None else chosen.estimate.mean,
        chosen.step_scores or None,
        chosen.completion_tokens,
    )


def _foreign(found: _Line) -> str | None:
    """Why the reported probability is not the calibration's for what was returned; None where it is."""
    if found.abstained is not None:
        return "its tool calls were withheld, so its probability is not that of what was returned"
    if found.selected_by in _VERIFIED:
        return "the answer was verified, so its probability is not the calibration's"
    return None if found.calibrated else "its scores were not calibrated"


def _refused(place: str, error: ValidationError) -> RecordingError:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    what = f"{field!r}: {first['msg']} (it is {_short(first['input'])})" if field else first["msg"]
    return RecordingError(f"{place}: {what}; a store has one call's report a line (docs/audit.md)")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _time(place: str, value: float | str | None) -> float | None:
    """Seconds since 1970, from a number of them or from an ISO 8601 text (UTC where it names no zone)."""
    if not isinstance(value, str):
        return value
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        message = (
            f"{place}: 'time' is {value!r}, but must be seconds since 1970 or ISO 8601 (2026-11-24T12:30:00Z)"
        )
        raise RecordingError(message) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _ordered(calls: Sequence[Call], notes: list[str]) -> Store:
    times = [call.time for call in calls if call.time is not None]
    if len(times) < len(calls):
        if times:
            notes.append(
                f"{len(calls) - len(times)} of {len(calls)} calls have no 'time': file order is taken"
            )
        return Store(tuple(calls), False, tuple(notes))
    order = sorted(range(len(calls)), key=lambda i: times[i])
    return Store(tuple(calls[i] for i in order), True, tuple(notes))
