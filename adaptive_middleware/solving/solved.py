"""What became of a task, and of all of them together, as plain JSON values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adaptive_middleware.report import fixed_cost
from adaptive_middleware.solving.tasks import Task
from adaptive_middleware.types import Candidate, Outcome, Verdict

Program = Callable[[Task, str], str]
"""The program in the text of an answer to a task."""


def unit(task: Task, outcome: Outcome, verdict: Verdict, seconds: float, program: Program) -> dict[str, Any]:
    """The journal's line of a finished task. `solved` is None where the tests could not tell."""
    last = outcome.decisions[-1].because if outcome.decisions else ""
    usage = outcome.usage
    return {
        "solved": verdict.passed,
        "detail": verdict.detail,
        "completion": program(task, outcome.chosen.text),
        "text": outcome.chosen.text,
        "samples": len(outcome.considered) + len(outcome.dropped) + len(outcome.failed),
        "max_samples": outcome.limit,
        "passed": sum(1 for one in outcome.considered if one.verdict is not None and one.verdict.passed),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "prm_tokens": usage.prm_tokens,
        "fixed_tokens": fixed_cost(outcome) or usage.completion_tokens,
        "seconds": round(seconds, 3),
        "rule": outcome.rule,
        "because": last,
        "degraded": list(outcome.degraded),
        "candidates": [_candidate(one) for one in outcome.considered],
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    """A sample as a later analysis needs it: `bench.code` makes recordings of these."""
    return {
        "text": one.path.text,
        "passed": None if one.verdict is None else one.verdict.passed,
        "detail": "" if one.verdict is None else one.verdict.detail,
        "p": None if one.estimate is None else round(one.estimate.mean, 4),
        "completion_tokens": one.path.usage.completion_tokens,
    }


def summary(tasks: Sequence[Task], units: Mapping[str, Mapping[str, Any]], failed: int) -> dict[str, Any]:
    """Counts and sums over the finished tasks.

    `fixed_tokens` is what always drawing `max_samples` would have cost in completion tokens, estimated from the samples
    that were drawn.
    """
    done = [units[task.id] for task in tasks if task.id in units]
    solved = sum(one["solved"] is True for one in done)
    sums = ("samples", "prompt_tokens", "completion_tokens", "prm_tokens", "fixed_tokens")
    return {
        "tasks": len(tasks),
        "finished": len(done),
        "solved": solved,
        "undecided": sum(one["solved"] is None for one in done),
        "failed": failed,
        **{key: sum(one[key] for one in done) for key in sums},
        "seconds": round(sum(one["seconds"] for one in done), 1),
    }
