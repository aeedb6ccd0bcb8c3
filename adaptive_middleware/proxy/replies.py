"""Replies as paths, and the winner as the client's reply: its own bytes, with the cost of all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.proxy.body import Body, NotAnObject
from adaptive_middleware.proxy.headers import Headers
from adaptive_middleware.proxy.upstream import Reply, Unusable
from adaptive_middleware.report import report
from adaptive_middleware.steps import Boundary
from adaptive_middleware.transport.usage import summed
from adaptive_middleware.transport.wire import FOREIGN, Wire
from adaptive_middleware.types import Outcome, Path


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole chat completion or response: what an answer that was not streamed carries as `raw`."""

    reply: Reply
    body: Body


def path_of(reply: Reply, wire: Wire, boundary: Boundary = "auto") -> Path:
    """The answer of a successful reply; raises `Unusable` for one that is none."""
    try:
        body = Body.read(reply.body)
        return wire.path(body.values, Whole(reply, body), boundary)
    except (*FOREIGN, NotAnObject) as error:
        raise Unusable(reply) from error


def answered(outcome: Outcome, drawn: Sequence[Whole], wire: Wire) -> Reply:
    """The chosen answer's own reply, with the usage of all requests and the report.

    `drawn` are all replies. Where there is nothing to report, the bytes are the upstream's.
    """
    whole = _said(outcome, drawn, wire) or outcome.chosen.raw
    if not isinstance(whole, Whole):
        message = f"a path was chosen that no reply belongs to ({outcome.chosen.error}): return a path as it was drawn"
        raise SamplerError(message)
    told = told_of(outcome, drawn)
    changed = whole.body.changed(told)
    headers = [pair for pair in whole.reply.headers if pair[0].lower() != b"content-length"]
    return Reply(whole.reply.status, [*headers, *told_in_headers(outcome)], changed)


def _said(outcome: Outcome, drawn: Sequence[Whole], wire: Wire) -> Whole | None:
    """What a strategy says itself, instead of calling a tool that it is not sure of, in the form of an answer it had."""
    said = outcome.chosen
    if said.raw is not None or said.done or said.error is not None or not drawn:
        return None
    made = wire.worded(said.text, said.finish_reason == "stop", drawn[0].body.values)
    return Whole(drawn[0].reply, Body.read(json.dumps(made).encode()))


def told_of(outcome: Outcome, drawn: Sequence[Whole]) -> dict[str, object]:
    """What is said beside the answer: `usage` where it is known, and `adaptive` where there is something to report."""
    details = report(outcome)
    counts = (one.body.values.get("usage") for one in drawn)
    usages = [usage for usage in counts if isinstance(usage, Mapping)]
    total: dict[str, object] = {"usage": summed(usages)} if usages else {}
    return total if details is None else {**total, "adaptive": details}


def told_in_headers(outcome: Outcome) -> Headers:
    """The report's first two numbers as headers, and the id of a call that is kept."""
    drawn = max(len(outcome.considered) + len(outcome.dropped) + len(outcome.failed), 1)
    rule = outcome.rule.encode("ascii", errors="replace")
    name = [] if outcome.id is None else [(b"x-adaptive-id", outcome.id.encode("ascii"))]
    return [(b"x-adaptive-policy", rule), (b"x-adaptive-samples", b"%d" % drawn), *name]
