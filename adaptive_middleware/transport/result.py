"""What the client gets: the winner's own reply with the cost of all samples and the report, or an error as OpenAI writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from adaptive_middleware.errors import AdaptiveError, BudgetError, DeadlineExceeded, SamplerError
from adaptive_middleware.report import report
from adaptive_middleware.transport.call import Call, Headers, written
from adaptive_middleware.transport.replies import Completion, Refused, Reply
from adaptive_middleware.transport.sampler import Drawn
from adaptive_middleware.transport.usage import summed
from adaptive_middleware.types import Outcome

OF_BODY = ("content-length", "content-encoding", "transfer-encoding")
"""Headers that belong to a body and not to what it says."""
_LONGEST = 200


def result(outcome: Outcome, call: Call, drawn: Drawn) -> Reply:
    """The winner's reply, with `usage` summed over all that were `drawn`, an object `adaptive`, and `x-adaptive-*` headers.

    One reply that was only passed on stays as it is, byte for byte.
    """
    completion, details, spent = winner(outcome, call), report(outcome), drawn.spent()
    reply = completion.reply
    if details is None and len(spent) == 1 and reply.content:
        return reply
    content = written({**completion.body, **additions(details, total(spent))})
    kept = [(k, v) for k, v in reply.headers if k.lower() not in (*OF_BODY, "content-type")]
    made = [("content-type", "application/json"), ("content-length", str(len(content)))]
    return Reply(reply.status, [*kept, *made, *adaptive_headers(outcome)], content, reply.extensions)


def winner(outcome: Outcome, call: Call) -> Completion:
    """The completion that was chosen, or the one that a text in its place is; raises `SamplerError` for what was never drawn."""
    chosen = outcome.chosen
    if isinstance(chosen.raw, Completion):
        return chosen.raw
    if chosen.raw is None and chosen.error is None and not chosen.done:
        return _worded(outcome, call)
    said = f"the chosen answer is none that was drawn: {chosen.error or chosen.text[:_LONGEST]!r}"
    raise SamplerError(said)


def _worded(outcome: Outcome, call: Call) -> Completion:
    """An answer that is text alone, because it was cut off or stands for another, with the head of the best one drawn."""
    best = None if outcome.choice is None else outcome.considered[outcome.choice.index].path.raw
    reply, head = (best.reply, best.body) if isinstance(best, Completion) else (Reply(200, [], b""), {})
    whole = outcome.chosen.finish_reason == "stop"
    body = call.wire.worded(outcome.chosen.text, whole, {"model": call.request.model, **head})
    return Completion(replace(reply, content=b""), body)


def additions(details: Mapping[str, Any] | None, usage: Mapping[str, Any] | None) -> dict[str, Any]:
    """The keys that the winner's body gets, where they are known."""
    found = {"usage": usage, "adaptive": details}
    return {name: value for name, value in found.items() if value is not None}


def total(bodies: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The `usage` of all bodies, added up; None where none has any."""
    usages = [body["usage"] for body in bodies if isinstance(body.get("usage"), Mapping)]
    return summed(usages) if usages else None


def adaptive_headers(outcome: Outcome) -> Headers:
    """The report's first facts as headers: rule, strategy, samples, and where known p, why the call was degraded, and its id."""
    samples = len(outcome.considered) + len(outcome.dropped) + len(outcome.failed)
    facts: dict[str, object] = {"rule": outcome.rule, "strategy": outcome.strategy, "samples": samples}
    if outcome.choice is not None and outcome.choice.probability is not None:
        facts["p"] = f"{outcome.choice.probability:.4f}"
    if outcome.degraded:
        facts["degraded"] = "; ".join(outcome.degraded)
    if outcome.id is not None:
        facts["id"] = outcome.id
    return [(f"x-adaptive-{name}", _as_header(str(value))) for name, value in facts.items()]


def _as_header(text: str) -> str:
    """One line of printable ASCII."""
    line = "".join(one if " " <= one <= "~" else "?" for one in " ".join(text.split()))
    return line[:_LONGEST]


def failure(error: AdaptiveError) -> Reply:
    """The reply for a call without an answer: the provider's own where it refused, else an error as OpenAI writes it.

    A limit of ours that was reached (504 in time, 429 in tokens) says `x-should-retry: false`: the client would
    only run into it again. Whatever else is 502, which clients try again.
    """
    if isinstance(error, Refused):
        return error.reply
    status = 504 if isinstance(error, DeadlineExceeded) else 429 if isinstance(error, BudgetError) else 502
    headers = [("content-type", "application/json"), ("x-adaptive-error", type(error).__name__)]
    if isinstance(error, BudgetError):
        headers.append(("x-should-retry", "false"))
    content = written({"error": described(error)})
    return Reply(status, [*headers, ("content-length", str(len(content)))], content)


def described(error: AdaptiveError) -> dict[str, Any]:
    """An error as OpenAI writes it."""
    return {"message": str(error), "type": "adaptive_error", "param": None, "code": type(error).__name__}
