"""What a client that streams is sent: the followed answer's own chunks as they come, or the winner's, and the end of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.report import report
from adaptive_middleware.sampling.shown import Shown
from adaptive_middleware.transport.call import Call, written
from adaptive_middleware.transport.chunks import chunks_of, ended
from adaptive_middleware.transport.replies import Reply
from adaptive_middleware.transport.result import OF_BODY, adaptive_headers, described, total, winner
from adaptive_middleware.transport.sampler import Drawn
from adaptive_middleware.transport.streamed import chunks_in
from adaptive_middleware.types import Outcome, Path

_DONE = b"data: [DONE]\n\n"


@dataclass(slots=True)
class Showing:
    """One streamed call as its client sees it, in events; fed with what `Middleware.stream` yields.

    The chunk that says how the answer ended is held back until the outcome is known, and carries it as `adaptive`.
    """

    call: Call
    drawn: Drawn
    shown: Shown = field(default_factory=Shown)
    source: Reply | None = None
    known: Outcome | None = None
    first: Mapping[str, Any] | None = None
    last: Mapping[str, Any] | None = None

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
            events = self._events(best.chunks or chunks_of(best.body))
        details, chosen = report(outcome), outcome.chosen
        reason = chosen.finish_reason if chosen.done else None
        last = self.last or {**self._head(), "choices": [ended(reason)]}
        events.append(_event({**last, **({} if details is None else {"adaptive": details})}))
        usage = total(self.drawn.spent())
        if self.call.counts and usage is not None:
            events.append(_event({**self._head(), "choices": [], "usage": usage}))
        return [*events, _DONE]

    def broken(self, error: AdaptiveError) -> list[bytes]:
        """The events that tell a client of an error, after others."""
        return [_event({"error": described(error)}), _DONE]

    def head(self) -> Reply:
        """The head of the reply, once there is a first event."""
        source = self.source or Reply(200, [], b"")
        kept = [(k, v) for k, v in source.headers if k.lower() not in (*OF_BODY, "content-type")]
        told = [] if self.known is None else adaptive_headers(self.known)
        kind = ("content-type", "text/event-stream; charset=utf-8")
        return Reply(200, [*kept, kind, *told], b"", source.extensions)

    def _events(self, chunks: Iterable[Mapping[str, Any]]) -> list[bytes]:
        """The chunks as events, with the last one held back, and without usage: that of all answers comes at the end."""
        usage = {"usage": None} if self.call.counts else {}
        events: list[bytes] = []
        for chunk in chunks:
            if not chunk.get("choices"):
                continue
            self.first = self.first or chunk
            plain: Mapping[str, Any] | None = {**{k: v for k, v in chunk.items() if k != "usage"}, **usage}
            if any(choice.get("finish_reason") for choice in chunk["choices"]):
                plain, self.last = self.last, plain
            events += [] if plain is None else [_event(plain)]
        return events

    def _head(self) -> dict[str, Any]:
        """What all chunks of the answer say."""
        chunk = (
            self.last or self.first or {"object": "chat.completion.chunk", "model": self.call.request.model}
        )
        return {k: v for k, v in chunk.items() if k not in ("choices", "usage")}


def _event(body: Mapping[str, Any]) -> bytes:
    return b"data: " + written(body) + b"\n\n"
