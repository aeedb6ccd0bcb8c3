"""The two ways in which OpenAI's API gives one answer, chat completions and responses, as far as they differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adaptive_middleware.sampling.reading import Piece
from adaptive_middleware.transport import completions, response_events, responses
from adaptive_middleware.transport.chunks import chunks_of, completion_of
from adaptive_middleware.types import Path

Json = Mapping[str, Any]


FOREIGN = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError)
"""What reading JSON of a foreign shape raises."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How to read and write the JSON of one way; what reads raises `FOREIGN`, unless it says more.

    `asked` is the field of a request that holds what is asked, `question` the text of it, None where the request
    must go out once. `path` is the answer of a body, with a `raw` and by a boundary of steps. `worded` is a body that
    is text alone, whole or cut off, with the other fields of a given one.

    Of streams, `piece` is the last of the events seen so far, with a `raw`. `whole` is the body that all events add up
    to, `events` those of a body. `ends` says whether an event says how the answer ended, `usage` what it says of the
    cost; `counted` are counts of tokens (prompt, completion) in its words. `errors` are the events of an error, as
    OpenAI describes it, after those that were sent; `framed` is an event as bytes (as it was written, where that is
    given), and `done` what follows the last one.
    """

    asked: str
    question: Callable[[Json], str | None]
    path: Callable[..., Path]
    worded: Callable[[str, bool, Json], dict[str, Any]]
    piece: Callable[[Sequence[Json], object], Piece]
    whole: Callable[[Sequence[Json]], dict[str, Any]]
    events: Callable[[Json], Iterable[Json]]
    ends: Callable[[Json], bool]
    usage: Callable[[Json], object]
    counted: Callable[[int, int], dict[str, int]]
    errors: Callable[[Json, Sequence[Json]], Iterable[Json]]
    framed: Callable[..., bytes]
    done: bytes

    def broken(self, described: Json, sent: Sequence[Json]) -> bytes:
        """The end of a stream that an error ends, after the events that were sent."""
        return b"".join(map(self.framed, self.errors(described, sent))) + self.done


def _framed(chunk: Json, data: str | None = None) -> bytes:
    text = json.dumps(chunk, ensure_ascii=False, separators=(",", ":")) if data is None else data
    return "".join(f"data: {line}\n" for line in text.split("\n")).encode() + b"\n"


def _errors(described: Json, _sent: Sequence[Json]) -> Iterator[Json]:
    yield {"error": described}


def _ends(chunk: Json) -> bool:
    return any(choice.get("finish_reason") is not None for choice in chunk.get("choices") or ())


CHAT = Wire(
    asked="messages",
    question=completions.question,
    path=completions.path_of,
    worded=completions.worded,
    piece=completions.piece_of,
    whole=completion_of,
    events=chunks_of,
    ends=_ends,
    usage=lambda chunk: chunk.get("usage"),
    counted=completions.counted,
    errors=_errors,
    framed=_framed,
    done=b"data: [DONE]\n\n",
)
RESPONSES = Wire(
    asked="input",
    question=responses.question,
    path=responses.path_of,
    worded=responses.worded,
    piece=response_events.piece_of,
    whole=response_events.response_of,
    events=response_events.events_of,
    ends=response_events.ends,
    usage=lambda event: event["response"].get("usage") if response_events.ends(event) else None,
    counted=responses.counted,
    errors=response_events.errors_of,
    framed=response_events.framed,
    done=b"",
)


def wire_of(path: str) -> Wire:
    """The way of a path: `.../responses` and what is below it, or else chat completions."""
    return RESPONSES if "responses" in path.split("/") else CHAT
