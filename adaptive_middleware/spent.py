"""What a call cost, and what it took of the budgets that it was counted in."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call cost: token counts (>= 0), provider requests, and dollars where a price is known.

    `estimated` says that tokens were reckoned from lengths of text, because the provider did not count them.

    >>> Usage(prompt_tokens=10, completion_tokens=5, requests=1) + Usage(prm_tokens=7)
    Usage(prompt_tokens=10, completion_tokens=5, cached_tokens=0, prm_tokens=7, requests=1, usd=None)
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    prm_tokens: int = 0
    requests: int = 0
    usd: float | None = None
    estimated: bool = field(default=False, repr=False)

    def __add__(self, other: Usage) -> Usage:
        usd = other.usd if self.usd is None else self.usd
        if self.usd is not None and other.usd is not None:
            usd = self.usd + other.usd
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.prm_tokens + other.prm_tokens,
            self.requests + other.requests,
            usd,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class Spent:
    """What a call took of one budget: what was `reserved` for it in all, and what it came to.

    `unit` is tokens, requests, usd (counted in micro-dollars) or prm_ms; `left` is what nobody has spent or
    reserved since, `free` what nobody had when the call was first granted something; None where the store could not say.
    """

    budget: str
    unit: str
    reserved: int
    settled: int
    left: int | None
    free: int | None = None
