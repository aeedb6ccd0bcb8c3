"""A streamed call as the client reads it: the chosen answer's own events, live where it is shown while it is written."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.proxy.events import DONE, Event, error_event, events_in
from adaptive_middleware.proxy.headers import Headers
from adaptive_middleware.proxy.replies import summed, told_in_headers
from adaptive_middleware.proxy.streaming import Streams
from adaptive_middleware.report import report
from adaptive_middleware.sampling.reading import TRUNCATED, Open
from adaptive_middleware.types import Outcome, Path

_KIND: Headers = [(b"content-type", b"text/event-stream; charset=utf-8")]


@dataclass(slots=True)
class Writing:
    """Writes one call; `sent` counts the events that the client has, `ended` is told the outcome."""

    streams: Streams
    ended: Callable[[Outcome], object]
    sent: int = 0

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
                yield error_event(502, f"{type(error).__name__}: {error}")

    def _seen(self, seen: Path | Outcome) -> Iterator[bytes]:
        if isinstance(seen, Outcome):
            self.ended(seen)
            yield from self._last(seen)
        elif isinstance(seen.raw, Open):
            # How the answer ended, and what comes after that, waits for the report.
            for event in events_in(seen.raw.reading.pieces)[self.sent :]:
                if event.ends:
                    return
                self.sent += 1
                yield event.written({})

    def _last(self, outcome: Outcome) -> Iterator[bytes]:
        chosen = outcome.chosen
        events = _events(chosen.raw)
        if not events and not self.sent and chosen.text:
            events = self._made(chosen)
        details = report(outcome)
        usages = [at for at, event in enumerate(events) if event.counts]
        for at, event in enumerate(events[self.sent :], self.sent):
            told: dict[str, object] = {"usage": summed(self.streams.usages)} if usages[-1:] == [at] else {}
            yield event.written({**told, "adaptive": details} if event.ends and details is not None else told)
        if not any(event.ends for event in events):
            why = chosen.error or "; ".join(outcome.degraded) or TRUNCATED
            yield error_event(502, f"the answer broke off before its end: {why}")
            return
        yield DONE

    def _made(self, chosen: Path) -> Sequence[Event]:
        """Events for an answer that was closed before its end, and not shown before: none of its own are left."""
        head = {"id": "chatcmpl-adaptive", "object": "chat.completion.chunk", "created": int(time.time())}
        head["model"] = str(self.streams.drawing.body.values.get("model"))
        said = {"index": 0, "delta": {"role": "assistant", "content": chosen.text}, "finish_reason": None}
        end = {"index": 0, "delta": {}, "finish_reason": chosen.finish_reason}
        made = [{**head, "choices": [choice]} for choice in (said, end)]
        return [Event(json.dumps(values), values, _KIND) for values in made]


async def shown(watched: AsyncGenerator[Path | Outcome, None]) -> Path | Outcome:
    """The first thing that can be shown; before it, an error still has a status of its own."""
    while True:
        seen = await anext(watched)
        if isinstance(seen, Outcome) or (isinstance(seen.raw, Open) and seen.text):
            return seen


def head_of(first: Path | Outcome, rule: str) -> Headers:
    """The headers of a stream that begins with `first`: those of the answer's own stream, and ours."""
    if isinstance(first, Outcome):
        return [*_own(_events(first.chosen.raw)), *told_in_headers(first)]
    events = events_in(first.raw.reading.pieces) if isinstance(first.raw, Open) else _events(first.raw)
    return [*_own(events), (b"x-adaptive-policy", rule.encode("ascii", errors="replace"))]


def _own(events: Sequence[Event]) -> Headers:
    return events[0].headers if events else _KIND


def _events(raw: object) -> Sequence[Event]:
    return [one for one in raw if isinstance(one, Event)] if isinstance(raw, tuple) else []
