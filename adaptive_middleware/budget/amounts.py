"""Amounts: what a call costs in every unit that a budget can be in, as whole numbers >= 0."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, isfinite
from typing import Literal, TypeAlias

from adaptive_middleware.errors import UsageRefused
from adaptive_middleware.types import Usage

Unit: TypeAlias = Literal["tokens", "requests", "usd", "prm_ms"]
"""What is counted: prompt and completion tokens, requests, micro-dollars, milliseconds of scoring."""

MOST = 10**15
"""The most of any unit that is counted: far below what a double holds exactly, as Redis' scripts need."""

MOST_PER_ANSWER = 10**8
"""Tokens or requests above which the usage of one answer is taken for an error of the provider."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What something costs: `usd` in micro-dollars, `prm_ms` in milliseconds.

    Raises `UsageRefused` for what is no whole number in [0, 10^15].

    >>> Amounts(tokens=5, requests=1) + Amounts(tokens=2, usd=3)
    Amounts(tokens=7, requests=1, usd=3, prm_ms=0)
    """

    tokens: int = 0
    requests: int = 0
    usd: int = 0
    prm_ms: int = 0

    def __post_init__(self) -> None:
        for unit in ("tokens", "requests", "usd", "prm_ms"):
            _counted(unit, self.of(unit), MOST)

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.tokens + other.tokens,
            self.requests + other.requests,
            self.usd + other.usd,
            self.prm_ms + other.prm_ms,
        )

    def of(self, unit: Unit) -> int:
        """The amount in one unit."""
        match unit:
            case "tokens":
                return self.tokens
            case "requests":
                return self.requests
            case "usd":
                return self.usd
            case "prm_ms":
                return self.prm_ms

    def at_least(self, other: Amounts) -> Amounts:
        """The larger of both, unit by unit."""
        return Amounts(
            max(self.tokens, other.tokens),
            max(self.requests, other.requests),
            max(self.usd, other.usd),
            max(self.prm_ms, other.prm_ms),
        )


def checked(usage: Usage) -> Usage:
    """The usage of one answer; raises `UsageRefused` when a count is negative, no integer or absurd."""
    _counted("prompt_tokens", usage.prompt_tokens, MOST_PER_ANSWER)
    _counted("completion_tokens", usage.completion_tokens, MOST_PER_ANSWER)
    _counted("requests", usage.requests, MOST_PER_ANSWER)
    if usage.usd is not None:
        micro_dollars(usage.usd)
    return usage


def micro_dollars(usd: float | Fraction) -> int:
    """Whole micro-dollars, rounded up, so that many small prices never add up to less than they are.

    Raises `UsageRefused` for what is not finite, negative or above 10^9 dollars.

    >>> micro_dollars(0.0000015)
    2
    """
    if not isfinite(usd) or not 0 <= usd <= MOST // 10**6:
        message = f"a price of {usd!r} USD was reported; it must be finite and in [0, 1e9]"
        raise UsageRefused(message)
    exact = usd if isinstance(usd, Fraction) else Fraction(str(float(usd)))
    return ceil(exact * 10**6)


def _counted(name: str, value: object, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        message = f"{name} is {value!r}; a whole number in [0, {most}] can be counted"
        raise UsageRefused(message)
