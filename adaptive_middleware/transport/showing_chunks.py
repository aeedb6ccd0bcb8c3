"""A chat completion as the client of its stream sees it: chunks, the last of them with the report, then usage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from adaptive_middleware.report import report
from adaptive_middleware.transport.chunks import ended
from adaptive_middleware.transport.result import total
from adaptive_middleware.transport.showing import Json, Showing
from adaptive_middleware.transport.wire import CHAT
from adaptive_middleware.types import Outcome


@dataclass(slots=True)
class ShowingChunks(Showing):
    """Shows a chat completion; usage comes only if the client asked for it."""

    first: Json | None = None
    last: Json | None = None

    def _last(self, outcome: Outcome) -> list[bytes]:
        details, chosen = report(outcome), outcome.chosen
        reason = chosen.finish_reason if chosen.done else None
        last = self.last or {**self._head(), "choices": [ended(reason)]}
        events = [CHAT.framed({**last, **({} if details is None else {"adaptive": details})})]
        usage = total(self.drawn.spent())
        if self.call.counts and usage is not None:
            events.append(CHAT.framed({**self._head(), "choices": [], "usage": usage}))
        return [*events, CHAT.done]

    def _events(self, chunks: Iterable[Json]) -> list[bytes]:
        """Without usage: that of all answers comes at the end."""
        usage = {"usage": None} if self.call.counts else {}
        events: list[bytes] = []
        for chunk in chunks:
            if not chunk.get("choices"):
                continue
            self.first = self.first or chunk
            plain: Json | None = {**{k: v for k, v in chunk.items() if k != "usage"}, **usage}
            if any(choice.get("finish_reason") for choice in chunk["choices"]):
                plain, self.last = self.last, plain
            events += [] if plain is None else [CHAT.framed(plain)]
        return events

    def _head(self) -> dict[str, Any]:
        """What all chunks of the answer say."""
        chunk = (
            self.last or self.first or {"object": "chat.completion.chunk", "model": self.call.request.model}
        )
        return {k: v for k, v in chunk.items() if k not in ("choices", "usage")}
