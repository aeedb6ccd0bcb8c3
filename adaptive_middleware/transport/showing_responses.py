"""A response as the client of its stream sees it: its own events, the last of them with the cost of all and the report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adaptive_middleware.report import report
from adaptive_middleware.transport.response_events import ends, framed, next_number, response_of
from adaptive_middleware.transport.result import additions, total
from adaptive_middleware.transport.showing import Json, Showing
from adaptive_middleware.types import Outcome


@dataclass(slots=True)
class ShowingResponse(Showing):
    """Shows a response of the Responses API."""

    last: Json | None = None

    def _events(self, chunks: Iterable[Json]) -> list[bytes]:
        events = list(chunks)
        self.last = next((event for event in events if ends(event)), self.last)
        new = [event for event in events if not ends(event)]
        self.sent += new
        return [framed(event) for event in new]

    def _last(self, outcome: Outcome) -> list[bytes]:
        last = self.last or self._cut()
        told = additions(report(outcome), total(self.drawn.spent()))
        return [framed({**last, "response": {**last["response"], **told}})]

    def _cut(self) -> Json:
        """The last event of a response that broke off."""
        number = next_number(self.sent)
        body = {"model": self.call.request.model, **response_of(self.sent)}
        return {"type": "response.incomplete", "sequence_number": number, "response": body}
