"""Kept calls, made up."""

from __future__ import annotations

from typing import Any

from adaptive_middleware.trace.reading import Kept
from tests.pictures.rows import HOSTILE


def call(number: int, **others: Any) -> Kept:
    """One of many calls: every second one right, every fourth one drew two samples, every fifth one is not known."""
    p = 0.05 + 0.9 * (number % 10) / 9
    told = {
        "calibrated": True,
        "chosen": 0,
        "abstained": None,
        "candidates": [{"step_scores": [0.5, 1 - p]}],
    }
    columns: dict[str, Any] = {
        "id": f"01a21896-b802-7279-99b5-{number:012x}",
        "at": 1_795_700_000.0 - number,
        "seconds": 0.5,
        "rule": "default" if number % 3 else "codegen",
        "strategy": "best-of-n",
        "model": "m",
        "call_site": None,
        "run_id": None,
        "p": p,
        "lower": p / 2,
        "samples": 1 if number % 4 else 2,
        "max_samples": 8,
        "tokens": 100,
        "prm_tokens": 10,
        "fixed_tokens": 800,
        "usd": None,
        "degraded": int(number == 7),
        "verified": None,
        "level": "redacted",
        "question": f"{number} {HOSTILE}",
        "unanswered": None,
        "correct": None if number % 5 == 4 else number % 2 == 0,
        "details": {"report": told, "samples": [], "dropped": [], "said": None, "prior": None},
    }
    return Kept(**{**columns, **others})
