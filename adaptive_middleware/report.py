"""The report of a call: what was decided and from which numbers, as plain JSON values."""

from __future__ import annotations

from dataclasses import asdict

from adaptive_middleware.types import Candidate, Decision, Estimate, Outcome


def report(outcome: Outcome) -> dict[str, object] | None:
    """The call's report, or None when the middleware only passed the call through.

    `p` and `lower` are the probability that the returned answer is right and its 10 % quantile (None
    without scores); `fixed_n` is what always drawing `max_samples` would have cost in completion
    tokens, estimated from the samples drawn. `dropped` are answers that were begun and not finished, `shown_from`
    the number of steps read before the answer was shown while it was written (None: it was not), `rung` the effort
    that it was drawn with. `abstained` says why tool calls or failed answers were withheld (None: they were not); `chosen`, `p` and
    `lower` are then those of the withheld answer. `budget` is what the call took of each budget, dollars as micro-dollars.
    `rejected` says why a candidate failed verification. `id` names the call where somebody observes it (None: nobody does).
    `question` is what was known of the question alone, `raw` the score it was made of.
    `shadow` is how many samples a policy in shadow mode would have drawn at least, of a call that got one (None: the
    policy was in force).
    """
    if _plain(outcome):
        return None
    return {
        "id": outcome.id,
        "rule": outcome.rule,
        "strategy": outcome.strategy,
        **_selected(outcome),
        "calibrated": outcome.calibrated,
        "question": _question(outcome),
        "rung": outcome.rung,
        "abstained": outcome.abstained,
        "shown_from": outcome.shown_from,
        "shadow": outcome.shadow,
        **_counted(outcome),
        "decisions": [_decision(decision) for decision in outcome.decisions],
        "candidates": [_candidate(candidate) for candidate in outcome.considered],
        "dropped": [_dropped(candidate) for candidate in outcome.dropped],
        "usage": _usage(outcome),
        "fixed_n": {"n": outcome.limit, "completion_tokens": fixed_cost(outcome)},
        "budget": [asdict(spent) for spent in outcome.budget],
        "degraded": list(outcome.degraded),
    }


def _plain(outcome: Outcome) -> bool:
    """Whether the call was one plain call, of which there is nothing to tell."""
    unscored = outcome.choice is None or outcome.choice.probability is None
    told = outcome.degraded or outcome.budget or outcome.abstained is not None or outcome.shadow is not None
    return outcome.limit == 1 and unscored and not told


def _selected(outcome: Outcome) -> dict[str, object]:
    choice = outcome.choice
    if choice is None:
        return {"p": None, "lower": None, "chosen": None, "selected_by": None, "tied": False}
    estimate = outcome.considered[choice.index].estimate
    return {
        "p": choice.probability,
        "lower": None if estimate is None else estimate.lower,
        "chosen": choice.index,
        "selected_by": choice.how,
        "tied": choice.tied,
    }


def _counted(outcome: Outcome) -> dict[str, object]:
    samples = len(outcome.considered) + len(outcome.dropped) + len(outcome.failed)
    return {"samples": samples, "max_samples": outcome.limit}


def fixed_cost(outcome: Outcome) -> int:
    """Completion tokens that `limit` samples would have cost, at the mean of the samples drawn."""
    costs = [candidate.path.usage.completion_tokens for candidate in outcome.considered]
    return round(outcome.limit * sum(costs) / len(costs)) if costs else 0


def _decision(decision: Decision) -> dict[str, object]:
    return {"more": decision.more, "because": decision.because, "numbers": dict(decision.numbers)}


def _candidate(candidate: Candidate) -> dict[str, object]:
    scores, verdict = candidate.scores, candidate.verdict
    return {
        "answer": candidate.answer,
        "estimate": _estimate(candidate.estimate),
        "step_scores": None if scores is None else [round(value, 4) for value in scores.values],
        "verified": None if verdict is None else verdict.passed,
        "rejected": verdict.detail if verdict is not None and verdict.passed is False else None,
        "completion_tokens": candidate.path.usage.completion_tokens,
    }


def _dropped(candidate: Candidate) -> dict[str, object]:
    return {
        "steps": len(candidate.path.steps),
        "p": None if candidate.estimate is None else candidate.estimate.mean,
        "completion_tokens": candidate.path.usage.completion_tokens,
    }


def _question(outcome: Outcome) -> dict[str, float | None] | None:
    known = _estimate(outcome.question)
    raw = outcome.raw
    return None if known is None else {**known, "raw": None if raw is None else round(raw, 4)}


def _estimate(estimate: Estimate | None) -> dict[str, float] | None:
    if estimate is None:
        return None
    return {"mean": estimate.mean, "lower": estimate.lower, "upper": estimate.upper}


def _usage(outcome: Outcome) -> dict[str, object]:
    usage = outcome.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
        "prm_tokens": usage.prm_tokens,
        "requests": usage.requests,
        "usd": usage.usd,
    }
