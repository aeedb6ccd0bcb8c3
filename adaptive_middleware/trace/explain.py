"""A kept call explained: its scores, probabilities, beliefs and decisions, what would have changed them, and what was saved."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from adaptive_middleware.trace.beliefs import believed
from adaptive_middleware.trace.formula import formula, would_change
from adaptive_middleware.trace.reading import Kept

_CLOSE = 1e-6


def explanation(call: Kept) -> dict[str, Any]:
    """The explanation as plain JSON values; the parts about decisions are absent for a call that was passed through, or not answered.

    `beliefs` are computed anew from what was kept; a note says so where they are not the ones that the policy saw.
    """
    about = {
        "id": call.id,
        "time": moment(call.at),
        "seconds": call.seconds,
        "rule": call.rule,
        "strategy": call.strategy,
        "model": call.model,
        "call_site": call.call_site,
        "run_id": call.run_id,
        "level": call.level,
        "question": call.question,
        "unanswered": call.unanswered,
        "cause": call.details.get("cause"),
        "used": call.details.get("usage"),
        "verdict": call.verdict,
        "verified": call.verified,
        "said": call.details["said"],
        "cost": _cost(call),
    }
    return about if call.report is None else {**about, **_decided(call, call.report)}


def moment(at: float) -> str:
    """Seconds since 1970 as ISO 8601, in UTC.

    >>> moment(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return f"{at:.0f} s after 1970"


def _cost(call: Kept) -> dict[str, Any]:
    saved = call.fixed_tokens - call.tokens
    return {
        "samples": call.samples,
        "completion_tokens": call.tokens,
        "prm_tokens": call.prm_tokens,
        "usd": call.usd,
        "fixed_n": call.max_samples,
        "fixed_tokens": call.fixed_tokens,
        "saved_tokens": saved,
        "saved_share": saved / call.fixed_tokens if call.fixed_tokens else 0.0,
    }


def _decided(call: Kept, report: dict[str, Any]) -> dict[str, Any]:
    beliefs = believed(report, call.details["prior"])
    decisions = [{**decision, "formula": formula(decision)} for decision in report["decisions"]]
    return {
        "p": report["p"],
        "lower": report["lower"],
        "upper": _upper(report),
        "calibrated": report["calibrated"],
        "before": report["question"],
        "chosen": report["chosen"],
        "selected_by": report["selected_by"],
        "tied": report["tied"],
        "abstained": report["abstained"],
        "degraded": report["degraded"],
        "failed": call.details["failed"],
        "samples": _samples(call, report),
        "dropped": report["dropped"],
        "budget": report.get("budget", []),
        "beliefs": [asdict(belief) for belief in beliefs],
        "decisions": decisions,
        "would_change": would_change(report),
        "notes": _notes(decisions, beliefs[-1].mean),
    }


def _upper(report: dict[str, Any]) -> float | None:
    chosen = None if report["chosen"] is None else report["candidates"][report["chosen"]]["estimate"]
    return None if chosen is None else chosen["upper"]


def _samples(call: Kept, report: dict[str, Any]) -> list[dict[str, Any]]:
    """Each sample with its steps and raw scores; `raw` is the score of the last step."""
    return [
        {
            "number": number,
            "answer": candidate["answer"],
            "steps": kept["steps"],
            "step_scores": candidate["step_scores"],
            "raw": (candidate["step_scores"] or [None])[-1],
            **{name: (candidate["estimate"] or {}).get(name) for name in ("mean", "lower", "upper")},
            "verified": candidate["verified"],
            "rejected": candidate["rejected"],
            "completion_tokens": candidate["completion_tokens"],
        }
        for number, (candidate, kept) in enumerate(
            zip(report["candidates"], call.details["samples"], strict=True), 1
        )
    ]


def _notes(decisions: list[dict[str, Any]], mean: float) -> list[str]:
    seen = [decision["numbers"].get("next") for decision in decisions]
    if seen and seen[-1] is not None and abs(seen[-1] - mean) > _CLOSE:
        return [
            f"the policy believed {seen[-1]:.3f} at its last decision, not {mean:.3f}: not all it saw was kept"
        ]
    return []
