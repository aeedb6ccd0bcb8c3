"""Prices: what a usage costs in micro-dollars, by the user's own table first, then by genai-prices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from fractions import Fraction
from math import isfinite
from typing import TypeAlias

from adaptive_middleware.budget.amounts import micro_dollars
from adaptive_middleware.errors import ConfigError
from adaptive_middleware.types import Usage

PriceOf: TypeAlias = Callable[[str, Usage], "int | None"]
"""Model and usage -> micro-dollars, rounded up; None for a model whose price is not known."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens, each finite and >= 0; `cached` is for cached prompt tokens (None: as `prompt`).

    Raises `ConfigError`.
    """

    prompt: float
    completion: float
    cached: float | None = None

    def __post_init__(self) -> None:
        for name, value in (
            ("prompt", self.prompt),
            ("completion", self.completion),
            ("cached", self.cached),
        ):
            if value is not None and not (isfinite(value) and 0 <= value <= 1e6):
                message = (
                    f"the price of {name} tokens is {value!r}; give dollars per million tokens in [0, 1e6]"
                )
                raise ConfigError(message)

    def of(self, usage: Usage) -> int:
        """Micro-dollars of a usage, rounded up.

        >>> Price(prompt=0.15, completion=0.6).of(Usage(prompt_tokens=1000, completion_tokens=200))
        270
        """
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        at_cache = self.prompt if self.cached is None else self.cached
        dollars = (
            (usage.prompt_tokens - cached) * _exact(self.prompt)
            + cached * _exact(at_cache)
            + usage.completion_tokens * _exact(self.completion)
        )
        return micro_dollars(dollars / 10**6)


@dataclass(frozen=True, slots=True)
class Prices:
    """The user's `table` (names may hold `*` and `?`; the first that fits counts), then genai-prices, if `known`.

    genai-prices is the extra `prices`; without it only the table is known. Its data are those of the installed version:
    nothing is downloaded.
    """

    table: Mapping[str, Price] = field(default_factory=dict)
    known: bool = True

    def __call__(self, model: str, usage: Usage) -> int | None:
        """Micro-dollars of a usage of `model`, rounded up; None where its price is not known."""
        for pattern, price in self.table.items():
            if fnmatchcase(model, pattern):
                return price.of(usage)
        return _published(model, usage) if self.known else None


def unpriced(_model: str, _usage: Usage) -> int | None:
    """No price is known of any model."""
    return None


def _published(model: str, usage: Usage) -> int | None:
    try:
        from genai_prices import Usage as Counted  # noqa: PLC0415 - an extra
        from genai_prices import calc_price  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    counted = Counted(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_tokens=cached or None,
    )
    try:
        found = calc_price(counted, model_ref=model)
    except LookupError:
        return None
    return micro_dollars(Fraction(found.total_price))


def _exact(number: float) -> Fraction:
    return Fraction(str(float(number)))
