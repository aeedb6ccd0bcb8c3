"""A streamed call as the client reads it: the chosen answer's own events, live where it is shown while it is written."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.proxy.events import Event, error_event, events_in, farewell
from adaptive_middleware.proxy.headers import Headers
from adaptive_middleware.proxy.replies import told_in_headers
from adaptive_middleware.proxy.streaming import Streams
from adaptive_middleware.report import report
from adaptive_middleware.sampling.reading import TRUNCATED, Open
from adaptive_middleware.transport.usage import summed
from adaptive_middleware.transport.wire import CHAT, Wire
from adaptive_middleware.types import Outcome, Path

_KIND: Headers = [(b"content-type", b"text/event-stream; charset=utf-8")]


@dataclass(slots=True)
class Writing:
    """Writes one call; `sent` are the events that the client has, `ended` is told the outcome."""

    streams: Streams
    ended: Callable[[Outcome], object]
    sent: list[Mapping[str, Any]] = field(default_factory=list)

    async def chunks(
        self, first: Path | Outcome, watched: AsyncGenerator[Path | Outcome, None]
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of the stream; what fails on the way is its last event but `[DONE]`."""
        async with aclosing(watched):
            try:
                for chunk in self._seen(first):
                    yield chunk
                async for seen in watched:
                    for chunk in self._seen(seen):
                        yield chunk
            except AdaptiveError as error:
                yield error_event(self._wire, 502, f"{type(error).__name__}: {error}", self.sent)

    def _seen(self, seen: Path | Outcome) -> Iterator[bytes]:
        if isinstance(seen, Outcome):
            self.ended(seen)
            yield from self._last(seen)
        elif isinstance(seen.raw, Open):
            # How the answer ended, and what comes after that, waits for the report.
            for event in events_in(seen.raw.reading.pieces)[len(self.sent) :]:
                if event.ends:
                    return
                self.sent.append(event.values)
                yield event.written({})

    def _last(self, outcome: Outcome) -> Iterator[bytes]:
        chosen = outcome.chosen
        events = _events(chosen.raw)
        if not events and not self.sent and chosen.text:
            events = self._made(chosen)
        details = report(outcome)
        usages = [at for at, event in enumerate(events) if event.counts]
        for at, event in enumerate(events[len(self.sent) :], len(self.sent)):
            told: dict[str, object] = {"usage": summed(self.streams.usages)} if usages[-1:] == [at] else {}
            self.sent.append(event.values)
            yield event.written({**told, "adaptive": details} if event.ends and details is not None else told)
        if not any(event.ends for event in events):
            why = chosen.error or "; ".join(outcome.degraded) or TRUNCATED
            yield error_event(self._wire, 502, f"the answer broke off before its end: {why}", self.sent)
            return
        yield self._wire.done

    def _made(self, chosen: Path) -> Sequence[Event]:
        """Events of a text in place of an answer, or of one that was closed before its end: none of its own are left."""
        asked = self.streams.drawing.body.values
        drawn = next(filter(None, (events_in(one.pieces) for one in self.streams.readings)), ())
        head = self._wire.whole([event.values for event in drawn]) if drawn else {"model": asked.get("model")}
        counts = {"usage": self._wire.counted(0, 0)}
        said = self._wire.worded(chosen.text, chosen.finish_reason == "stop", {**head, **counts})
        made = [*self._wire.events(said)]
        options = asked.get("stream_options")
        if self._wire is CHAT and isinstance(options, Mapping) and options.get("include_usage"):
            made.append({**made[-1], "choices": [], **counts})
        return [Event(json.dumps(one), one, _KIND, self._wire) for one in made]

    def farewell(self) -> bytes:
        """What the client is told when the time to finish is over."""
        return farewell(self._wire, self.sent)

    @property
    def _wire(self) -> Wire:
        return self.streams.drawing.wire


async def shown(watched: AsyncGenerator[Path | Outcome, None]) -> Path | Outcome:
    """The first thing that can be shown; before it, an error still has a status of its own."""
    while True:
        seen = await anext(watched)
        if isinstance(seen, Outcome) or (isinstance(seen.raw, Open) and seen.text):
            return seen


def head_of(first: Path | Outcome, rule: str | None) -> Headers:
    """The headers of a stream that begins with `first`: those of the answer's own stream, and ours; no `rule`, none of ours."""
    if isinstance(first, Outcome):
        return [*_own(_events(first.chosen.raw)), *([] if rule is None else told_in_headers(first))]
    events = events_in(first.raw.reading.pieces) if isinstance(first.raw, Open) else _events(first.raw)
    named = [] if rule is None else [(b"x-adaptive-policy", rule.encode("ascii", errors="replace"))]
    return [*_own(events), *named]


def _own(events: Sequence[Event]) -> Headers:
    return events[0].headers if events else _KIND


def _events(raw: object) -> Sequence[Event]:
    return [one for one in raw if isinstance(one, Event)] if isinstance(raw, tuple) else []
