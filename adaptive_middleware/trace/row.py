"""One call as a row of the store: figures in columns, the report and what is kept of texts as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from adaptive_middleware.logprobs import summary
from adaptive_middleware.report import fixed_cost, report
from adaptive_middleware.tool_calls import read_answer
from adaptive_middleware.trace.keeping import Keeping
from adaptive_middleware.types import Candidate, Outcome, Path, Request, Unanswered

_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that ended at `at` (seconds since 1970), in how many seconds, and all that is known of it.

    `unanswered` is there for a call without an answer; its `outcome` then has what had been drawn as dropped answers.
    """

    request: Request
    outcome: Outcome
    seconds: float
    at: float
    unanswered: Unanswered | None = None

    @classmethod
    def without_answer(cls, request: Request, call: Unanswered, seconds: float, at: float) -> Ended:
        """A call that ended without an answer."""
        drawn = tuple(Candidate(path) for path in call.drawn)
        outcome = Outcome(Path(), usage=call.usage, rule=call.rule, id=call.id, dropped=drawn)
        return cls(request, outcome, seconds, at, call)


def row_of(ended: Ended, keeping: Keeping) -> dict[str, object]:
    """The columns of a call. Texts of users and models are kept as `keeping` says, credentials never."""
    request, outcome = ended.request, ended.outcome
    columns = {
        "id": outcome.id,
        "at": ended.at,
        "seconds": ended.seconds,
        "rule": keeping.credentials(outcome.rule),
        "strategy": keeping.credentials(outcome.strategy),
        "model": _named(request.model, keeping),
        "call_site": _named(request.call_site, keeping),
        "run_id": _named(request.run_id, keeping),
        **_figures(outcome),
        **_without_answer(ended.unanswered, keeping),
        "level": keeping.level,
        "question": keeping.text(request.text),
        "details": json.dumps(_storable(_details(ended, keeping)), ensure_ascii=False, allow_nan=False),
    }
    return {name: _column(value) for name, value in columns.items()}


def _column(value: object) -> object:
    """A value that a column can hold: whole numbers beyond 64 bits are the largest ones there are."""
    return max(min(value, _LARGEST), -_LARGEST) if isinstance(value, int) else _storable(value)


def _figures(outcome: Outcome) -> dict[str, object]:
    choice, usage = outcome.choice, outcome.usage
    chosen = None if choice is None else outcome.considered[choice.index]
    return {
        "p": None if choice is None else choice.probability,
        "lower": None if chosen is None or chosen.estimate is None else chosen.estimate.lower,
        "samples": max(len(outcome.considered) + len(outcome.dropped) + len(outcome.failed), 1),
        "max_samples": outcome.limit,
        "tokens": usage.completion_tokens,
        "prm_tokens": usage.prm_tokens,
        "fixed_tokens": fixed_cost(outcome) or usage.completion_tokens,
        "usd": usage.usd,
        "degraded": len(outcome.degraded),
        "verified": None if chosen is None or chosen.verdict is None else chosen.verdict.passed,
    }


def _without_answer(call: Unanswered | None, keeping: Keeping) -> dict[str, object]:
    if call is None:
        return {}
    return {"samples": call.begun, "strategy": "unanswered", "unanswered": keeping.credentials(call.why)}


def _named(name: str | None, keeping: Keeping) -> str | None:
    return None if name is None else keeping.credentials(name)


def _details(ended: Ended, keeping: Keeping) -> dict[str, object]:
    request, outcome = ended.request, ended.outcome
    prior = None if outcome.question is None else outcome.question.quantiles
    drawn = any(one.path is outcome.chosen for one in outcome.considered)
    return {
        "report": None if ended.unanswered else _report(outcome, keeping),
        "prior": prior or None,
        "tags": sorted(map(keeping.credentials, request.tags)),
        "samples": [_sample(one, keeping) for one in outcome.considered],
        "dropped": [_sample(one, keeping) for one in outcome.dropped],
        "failed": [keeping.cause(path.error or "") for path in outcome.failed],
        "said": None if drawn or ended.unanswered else keeping.text(read_answer(outcome.chosen).text),
        "cause": None if ended.unanswered is None else _cause(ended.unanswered, keeping),
        "usage": None if ended.unanswered is None else asdict(ended.unanswered.usage),
    }


def _cause(call: Unanswered, keeping: Keeping) -> str:
    return keeping.cause(f"{call.error}: {call.message}" if call.message else call.error)


def _sample(candidate: Candidate, keeping: Keeping) -> dict[str, object]:
    path = candidate.path
    return {
        "steps": keeping.steps(read_answer(path).steps),
        "estimate": None if candidate.estimate is None else candidate.estimate.mean,
        "logprobs": summary(path.logprobs),
        "finish_reason": _named(path.finish_reason, keeping),
        "tokens": path.usage.completion_tokens,
    }


def _report(outcome: Outcome, keeping: Keeping) -> object:
    told: dict[str, Any] | None = report(outcome)
    if told is None:
        return None
    told["degraded"] = [keeping.cause(cause) for cause in outcome.degraded]
    if outcome.abstained is not None:
        told["abstained"] = keeping.cause(outcome.abstained)
    labels: dict[str, str] = {}
    for candidate in told["candidates"]:
        answer, rejected = candidate["answer"], candidate["rejected"]
        candidate["answer"] = None if answer is None else _label(answer, labels, keeping)
        candidate["rejected"] = None if rejected is None else keeping.text(rejected)
    return keeping.credentials.plain(told)


def _label(answer: str, labels: dict[str, str], keeping: Keeping) -> str:
    """The answer as it is kept; where nothing of it is, a number that equal answers of the call share."""
    return keeping.text(answer) or labels.setdefault(answer, f"answer {len(labels) + 1}")


def _storable(value: object) -> object:
    """A value in which numbers that JSON has no name for are absent (null), and half characters are U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _storable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_storable(each) for each in value]
    return value
