"""What a client that streams is sent: the followed answer's own events as they come, or the winner's, and the end of both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.sampling.shown import Shown
from adaptive_middleware.transport.call import Call
from adaptive_middleware.transport.replies import Reply
from adaptive_middleware.transport.result import OF_BODY, adaptive_headers, described, winner
from adaptive_middleware.transport.sampler import Drawn
from adaptive_middleware.transport.streamed import chunks_in
from adaptive_middleware.types import Outcome, Path

Json = Mapping[str, Any]


@dataclass(slots=True)
class Showing(ABC):
    """One streamed call as its client sees it, in events; fed with what `Middleware.stream` yields.

    The event that says how the answer ended is held back until the outcome is known, and carries it as `adaptive`.
    `sent` are the events of a response that the client has.
    """

    call: Call
    drawn: Drawn
    shown: Shown = field(default_factory=Shown)
    source: Reply | None = None
    known: Outcome | None = None
    sent: list[Json] = field(default_factory=list)

    def more(self, seen: Path | Outcome) -> list[bytes]:
        """The events of what the followed answer has grown by."""
        new = chunks_in(self.shown.more(seen))
        if self.source is None and new:
            self.source = new[0].head
        return self._events(chunk.body for chunk in new)

    def end(self) -> list[bytes]:
        """What is left once the outcome is known: all of an answer that was not shown, how it ended, usage."""
        outcome = self.known = self.shown.outcome
        events: list[bytes] = []
        if not self.shown.complete():
            best = winner(outcome, self.call)
            self.source = best.reply
            events = self._events(best.chunks or self.call.wire.events(best.body))
        return [*events, *self._last(outcome)]

    def broken(self, error: AdaptiveError) -> list[bytes]:
        """The events that tell a client of an error, after others."""
        return [self.call.wire.broken(described(error), self.sent)]

    def head(self) -> Reply:
        """The head of the reply, once there is a first event."""
        source = self.source or Reply(200, [], b"")
        kept = [(k, v) for k, v in source.headers if k.lower() not in (*OF_BODY, "content-type")]
        told = [] if self.known is None else adaptive_headers(self.known)
        kind = ("content-type", "text/event-stream; charset=utf-8")
        return Reply(200, [*kept, kind, *told], b"", source.extensions)

    @abstractmethod
    def _events(self, chunks: Iterable[Json]) -> list[bytes]:
        """The provider's events as the client gets them, with the last one held back."""

    @abstractmethod
    def _last(self, outcome: Outcome) -> list[bytes]:
        """The events that end the stream."""
