"""Chat completions as paths, and the winner as the client's reply: its own bytes, with the cost of all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adaptive_middleware.errors import SamplerError
from adaptive_middleware.proxy.body import Body, NotAnObject
from adaptive_middleware.proxy.headers import Headers
from adaptive_middleware.proxy.requests import content_text
from adaptive_middleware.proxy.upstream import Reply, Unusable
from adaptive_middleware.report import report
from adaptive_middleware.sampling.chunks import tokens_of, usage_of
from adaptive_middleware.steps import Boundary, split_steps
from adaptive_middleware.types import Outcome, Path, ToolCall, Usage

NOT_JSON = "(not JSON)"
"""The one argument of a tool call whose arguments cannot be read; no schema asks for it."""

_WRONG = (KeyError, TypeError, ValueError, AttributeError, IndexError)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole chat completion: what an answer that was not streamed carries as `raw`."""

    reply: Reply
    body: Body


def path_of(reply: Reply, boundary: Boundary = "auto") -> Path:
    """The first choice of a successful reply; raises `Unusable` for one that is no chat completion."""
    try:
        body = Body.read(reply.body)
        choice = body.values["choices"][0]
        message = choice["message"]
        reason = choice.get("finish_reason")
        return Path(
            tuple(split_steps(content_text(message.get("content")), boundary)),
            reason != "length",
            reason,
            called(message),
            tokens_of(choice.get("logprobs")) or None,
            _cost(body.values),
            Whole(reply, body),
        )
    except (*_WRONG, NotAnObject) as error:
        raise Unusable(reply) from error


def called(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """The tool calls of a message; raises what a foreign shape raises."""
    return tuple(_call(one) for one in message.get("tool_calls") or ())


def _call(call: Mapping[str, Any]) -> ToolCall:
    if "function" not in call:
        own = call["custom"]
        return ToolCall(str(own["name"]), {"input": own.get("input")}, call.get("id"))
    name, arguments = str(call["function"]["name"]), call["function"].get("arguments") or "{}"
    return ToolCall(name, arguments_of(arguments), call.get("id"))


def arguments_of(written: str) -> Mapping[str, object]:
    """The arguments of a tool call; those that are no JSON object as `NOT_JSON`.

    >>> arguments_of('{"a": 1}'), arguments_of('{"a": ')
    ({'a': 1}, {'(not JSON)': '{"a": '})
    """
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {NOT_JSON: written}


def _cost(values: Mapping[str, Any]) -> Usage:
    said = usage_of(values.get("usage"))
    if said is None:
        return Usage(requests=1, estimated=True)
    counts = (max(said.prompt_tokens, 0), max(said.completion_tokens, 0), max(said.cached_tokens, 0))
    return Usage(*counts, requests=1)


def summed(usages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The provider's own counts of several requests, added up field by field, as deep as they go.

    >>> summed([{"total_tokens": 3, "details": {"cached": 1}}, {"total_tokens": 4, "details": None}])
    {'total_tokens': 7, 'details': {'cached': 1}}
    """
    total: dict[str, Any] = {}
    for usage in usages:
        for name, value in usage.items():
            total[name] = _added(total.get(name), value)
    return total


def _added(sum_: Any, value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Mapping):
        return summed([*([sum_] if isinstance(sum_, Mapping) else []), value])
    numbers = [one for one in (sum_, value) if isinstance(one, (int, float)) and not isinstance(one, bool)]
    return sum(numbers) if numbers else (value if sum_ is None else sum_)


def answered(outcome: Outcome, usages: Sequence[Mapping[str, Any]]) -> Reply:
    """The chosen answer's own reply, with the usage of all requests and the report.

    `usages` are the provider's counts of all replies. Where there is nothing to report, the bytes are the upstream's.
    """
    whole = _said(outcome) or outcome.chosen.raw
    if not isinstance(whole, Whole):
        message = f"a path was chosen that no reply belongs to ({outcome.chosen.error}): return a path as it was drawn"
        raise SamplerError(message)
    told = told_of(outcome, usages)
    changed = whole.body.changed(told)
    headers = [pair for pair in whole.reply.headers if pair[0].lower() != b"content-length"]
    return Reply(whole.reply.status, [*headers, *told_in_headers(outcome)], changed)


def _said(outcome: Outcome) -> Whole | None:
    """What a strategy says itself, instead of calling a tool that it is not sure of, in the form of an answer it had."""
    said = outcome.chosen
    drawn = [one.path.raw for one in outcome.considered if isinstance(one.path.raw, Whole)]
    if said.raw is not None or said.done or said.error is not None or not drawn:
        return None
    message = {"role": "assistant", "content": said.text}
    choice = {"index": 0, "message": message, "finish_reason": said.finish_reason}
    made = json.dumps({**drawn[0].body.values, "choices": [choice]}).encode()
    return Whole(drawn[0].reply, Body.read(made))


def told_of(outcome: Outcome, usages: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """What is said beside the answer: `usage` where it is known, and `adaptive` where there is something to report."""
    details = report(outcome)
    total: dict[str, object] = {"usage": summed(usages)} if usages else {}
    return total if details is None else {**total, "adaptive": details}


def told_in_headers(outcome: Outcome) -> Headers:
    """The report's first two numbers as headers, and the id of a call that is kept."""
    drawn = max(len(outcome.considered) + len(outcome.dropped) + len(outcome.failed), 1)
    rule = outcome.rule.encode("ascii", errors="replace")
    name = [] if outcome.id is None else [(b"x-adaptive-id", outcome.id.encode("ascii"))]
    return [(b"x-adaptive-policy", rule), (b"x-adaptive-samples", b"%d" % drawn), *name]
