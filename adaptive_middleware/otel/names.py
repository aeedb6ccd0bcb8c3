"""What is told of a call, under its OpenTelemetry name: attributes of spans, metrics and events; no texts, no secrets.

The `gen_ai.*` names are those of the semantic conventions for generative AI (semantic-conventions-genai, 2026); what
they have no name for is `adaptive_middleware.*`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from adaptive_middleware.report import fixed_cost
from adaptive_middleware.types import Candidate, Outcome, Path, Request, Unanswered

Value: TypeAlias = "str | bool | int | float | Sequence[str] | Sequence[float]"
Attributes: TypeAlias = Mapping[str, Value]

OWN = "adaptive_middleware"
CALL, SHADOW = f"{OWN}.call", f"{OWN}.shadow"
EVALUATION = "gen_ai.evaluation.result"
_PARAMETERS = {
    "temperature": (float, int),
    "top_p": (float, int),
    "top_k": (int,),
    "max_tokens": (int,),
    "seed": (int,),
}


def asked(request: Request, provider: str) -> dict[str, Value]:
    """What is known of a call before it is answered; `provider` is `gen_ai.provider.name`."""
    known: dict[str, Value] = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": provider}
    known |= _present({"gen_ai.request.model": request.model, f"{OWN}.call_site": request.call_site})
    for name, kinds in _PARAMETERS.items():
        value = request.parameters.get(name)
        if isinstance(value, kinds) and not isinstance(value, bool):
            known[f"gen_ai.request.{name}"] = value
    return known


def answered(outcome: Outcome) -> dict[str, Value]:
    """What is known of a call after it was answered."""
    usage, drawn = outcome.usage, samples_of(outcome)
    return _present({
        **_of_usage(outcome),
        "gen_ai.request.choice.count": drawn if drawn > 1 else None,
        f"{OWN}.call.id": outcome.id,
        f"{OWN}.policy": outcome.rule,
        f"{OWN}.strategy": outcome.strategy,
        f"{OWN}.samples": max(drawn, 1),
        f"{OWN}.max_samples": outcome.limit,
        f"{OWN}.probability": None if outcome.choice is None else outcome.choice.probability,
        f"{OWN}.probability.lower": _lower(outcome),
        f"{OWN}.calibrated": outcome.calibrated,
        f"{OWN}.decisions": [decision.because for decision in outcome.decisions] or None,
        f"{OWN}.degraded": causes(outcome) or None,
        f"{OWN}.shadow": outcome.shadow,
        f"{OWN}.rung": outcome.rung,
        f"{OWN}.abstained": True if outcome.abstained is not None else None,
        f"{OWN}.fixed_n.output_tokens": fixed_cost(outcome) or None,
        f"{OWN}.usage.prm_tokens": usage.prm_tokens,
        f"{OWN}.usage.usd": usage.usd,
    })  # fmt: skip


def without_answer(call: Unanswered) -> dict[str, Value]:
    """What is known of a call that ended without an answer; no words of its error, as they may quote texts."""
    usage = call.usage
    return _present({
        "error.type": call.error,
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens or None,
        f"{OWN}.call.id": call.id,
        f"{OWN}.policy": call.rule,
        f"{OWN}.unanswered": call.why,
        f"{OWN}.samples": call.begun,
        f"{OWN}.usage.prm_tokens": usage.prm_tokens,
        f"{OWN}.usage.usd": usage.usd,
    })  # fmt: skip


def of_sample(path: Path) -> dict[str, Value]:
    """What is known of one sample: what it cost and how it ended."""
    usage = path.usage
    return _present({
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens or None,
        "gen_ai.response.finish_reasons": [path.finish_reason] if path.finish_reason else None,
        "error.type": None if path.error is None else _kind(path.error),
        f"{OWN}.timing": "call",
    })  # fmt: skip


def evaluations(outcome: Outcome) -> Iterator[dict[str, Value]]:
    """Attributes of one `gen_ai.evaluation.result` for each estimate and each verdict."""
    for index, candidate in enumerate(outcome.considered):
        chosen = outcome.choice is not None and outcome.choice.index == index
        which: dict[str, Value] = {f"{OWN}.candidate": index, f"{OWN}.chosen": chosen}
        if candidate.estimate is not None or candidate.scores is not None:
            yield {**_scored(candidate, outcome), **which}
        if candidate.verdict is not None and candidate.verdict.passed is not None:
            passed = candidate.verdict.passed
            label = "pass" if passed else "fail"
            yield {
                "gen_ai.evaluation.name": "verifier",
                "gen_ai.evaluation.score.value": float(passed),
                "gen_ai.evaluation.score.label": label,
                **which,
            }


def dimensions(request: Request, rule: str, provider: str) -> dict[str, Value]:
    """Attributes of every metric: few values each."""
    return _present({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": request.model,
        f"{OWN}.policy": rule,
    })  # fmt: skip


def samples_of(outcome: Outcome) -> int:
    """How many samples a strategy drew; 0 where the call was passed through."""
    return len(outcome.considered) + len(outcome.dropped) + len(outcome.failed)


def causes(outcome: Outcome) -> list[str]:
    """Why the call got less than it asked for: kinds only, as causes may quote texts.

    >>> causes(Outcome(Path(), degraded=("ScorerError: down at 10.0.0.1", "empty answer")))
    ['ScorerError', 'empty answer']
    """
    return list(dict.fromkeys(_kind(cause) for cause in outcome.degraded))


def _kind(cause: str) -> str:
    return cause.partition(":")[0][:80] or "unknown"


def _of_usage(outcome: Outcome) -> dict[str, Value | None]:
    ended = outcome.chosen.finish_reason
    return {
        "gen_ai.usage.input_tokens": outcome.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": outcome.usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": outcome.usage.cached_tokens or None,
        "gen_ai.response.finish_reasons": [ended] if ended else None,
    }


def _scored(candidate: Candidate, outcome: Outcome) -> dict[str, Value]:
    estimate, scores = candidate.estimate, candidate.scores
    rejected = None if scores is None or scores.rejected is None else _kind(scores.rejected)
    return _present({
        "gen_ai.evaluation.name": "process_reward_model",
        "gen_ai.evaluation.score.value": None if estimate is None else estimate.mean,
        "gen_ai.evaluation.score.label": "calibrated" if outcome.calibrated else "raw",
        "error.type": rejected,
        f"{OWN}.probability.lower": None if estimate is None else estimate.lower,
        f"{OWN}.step_scores": None if scores is None or not scores.values else list(scores.values),
    })  # fmt: skip


def _lower(outcome: Outcome) -> float | None:
    if outcome.choice is None or outcome.choice.index >= len(outcome.considered):
        return None
    estimate = outcome.considered[outcome.choice.index].estimate
    return None if estimate is None else estimate.lower


def _present(values: Mapping[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if value is not None}
