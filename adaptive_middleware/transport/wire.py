"""The two ways in which OpenAI's API gives one answer, chat completions and responses, as far as they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.transport import completions, response_events, responses
from adaptive_middleware.transport.chunks import chunks_of, completion_of
from adaptive_middleware.types import Path

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wire:
    """How to read and write the JSON of one way; what reads raises what a foreign shape raises, unless it says more.

    `path` is the answer of a body, with a `raw` and by a boundary of steps. `worded` is a body that is text alone,
    whole or cut off, with the other fields of a given one. `piece` is the last of the events seen so far, with a
    `raw`. `whole` is the body that all events add up to, `events` those of a body. `usage` is what an event says
    of the cost, `counted` counts of tokens (prompt, completion) in its words.
    """

    path: Callable[..., Path]
    worded: Callable[[str, bool, Json], dict[str, Any]]
    piece: Callable[[Sequence[Json], object], Piece]
    whole: Callable[[Sequence[Json]], dict[str, Any]]
    events: Callable[[Json], Iterable[Json]]
    usage: Callable[[Json], object]
    counted: Callable[[int, int], dict[str, int]]


CHAT = Wire(
    path=completions.path_of,
    worded=completions.worded,
    piece=completions.piece_of,
    whole=completion_of,
    events=chunks_of,
    usage=lambda chunk: chunk.get("usage"),
    counted=completions.counted,
)
RESPONSES = Wire(
    path=responses.path_of,
    worded=responses.worded,
    piece=response_events.piece_of,
    whole=response_events.response_of,
    events=response_events.events_of,
    usage=lambda event: event["response"].get("usage") if response_events.ends(event) else None,
    counted=responses.counted,
)
