"""What a call took of a budget that it was counted in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """What a call took of one budget: what was `reserved` for it in all, and what it came to.

    `unit` is tokens, requests, usd (counted in micro-dollars) or prm_ms; `left` is what nobody has spent or
    reserved since, None where the store could not say.
    """

    budget: str
    unit: str
    reserved: int
    settled: int
    left: int | None
