"""What a pooling server answered, read with suspicion: usable probabilities, or why there are none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adaptive_middleware.errors import ScorerError, Unscorable
from adaptive_middleware.scoring.replicas import Broken, Unavailable
from adaptive_middleware.scoring.rows import Row
from adaptive_middleware.types import StepScores

_SHOWN, _OF_THIS = 200, (400, 413, 422)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a family's rows are read: their width, the columns whose sum is the score, and whether each token has a row."""

    width: int
    columns: tuple[int, ...]
    every_token: bool = False


READINGS: Mapping[str, Reading] = {
    "qwen-math-prm": Reading(2, (1,)),
    "math-shepherd": Reading(2, (0,)),
    "skywork-prm": Reading(1, (0,), every_token=True),
    "reasoneval": Reading(3, (1, 2), every_token=True),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over HTTP."""

    status: int
    body: bytes
    retry_after: str | None = None

    @property
    def shown(self) -> str:
        """Its beginning, for messages."""
        return self.body[:_SHOWN].decode(errors="replace")


def items(reply: Reply, url: str, model: str, rows: int) -> tuple[list[object], int]:
    """The data of each input in order, and the tokens that were cached.

    Raises `Unavailable` for a busy server, `Broken` for a reply that is none, and `ScorerError` for a refusal
    and for a server of another model.
    """
    if reply.status in (429, 503):
        wait = reply.retry_after
        seconds = float(wait) if wait is not None and wait.strip().isdecimal() else None
        message = f"busy, HTTP {reply.status}"
        raise Unavailable(message, seconds)
    if reply.status >= 500:
        message = f"HTTP {reply.status}: {reply.shown}"
        raise Broken(message)
    if reply.status != 200:
        message = f"{url} refused to score with {model!r}: HTTP {reply.status}: {reply.shown}"
        raise Unscorable(message) if reply.status in _OF_THIS else ScorerError(message)
    body = _object(reply)
    if body.get("model") != model:
        message = f"{url} serves the model {body.get('model')!r}, but {model!r} was asked for: let all of `urls` serve one model"
        raise ScorerError(message)
    return _in_order(body["data"], rows), _cached(body)


def _object(reply: Reply) -> Mapping[str, Any]:
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        message = f"no JSON ({type(error).__name__}): {reply.shown}"
        raise Broken(message) from error
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        message = f"JSON without scores: {reply.shown}"
        raise Broken(message)
    return body


def _in_order(data: Sequence[object], rows: int) -> list[object]:
    indexed = [(item.get("index"), item.get("data")) for item in data if isinstance(item, dict)]
    found = {index: given for index, given in indexed if isinstance(index, int)}
    if len(data) != rows or set(found) != set(range(rows)):
        message = f"{len(data)} results for {rows} inputs"
        raise Broken(message)
    return [found[index] for index in range(rows)]


def _cached(body: Mapping[str, Any]) -> int:
    match body.get("usage"):
        case {"prompt_tokens_details": {"cached_tokens": int(cached)}} if cached > 0:
            return cached
    return 0


def scores(reading: Reading, row: Row, first: int, given: object, cached: int) -> StepScores:
    """The scores of one row; rejected, with the reason, where what was `given` cannot be trusted."""
    tokens = max(len(row.ids) - cached, 0)
    expected = len(row.ids) if reading.every_token else len(row.positions)
    if not isinstance(given, list) or len(given) != expected:
        count = len(given) if isinstance(given, list) else type(given).__name__
        return StepScores(tokens=tokens, rejected=f"{count} rows for {expected}")
    wanted = [given[position] for position in row.positions] if reading.every_token else given
    if bad := [values for values in wanted if not _probable(reading, values)]:
        reason = f"{bad[0]!r:.60} is not a row of {reading.width} probabilities"
        return StepScores(tokens=tokens, rejected=reason)
    values = [min(math.fsum(values[column] for column in reading.columns), 1.0) for values in wanted]
    return StepScores(tuple(values), first=first, tokens=tokens)


def _probable(reading: Reading, values: object) -> bool:
    """Whether these are probabilities of as many classes; half precision may miss the sum by a little."""
    if not isinstance(values, list) or len(values) != reading.width:
        return False
    numbers = (isinstance(value, float | int) and not isinstance(value, bool) for value in values)
    if not all(numbers) or not all(0.0 <= value <= 1.0 for value in values):
        return False
    return reading.width == 1 or abs(math.fsum(values) - 1.0) <= 0.01
