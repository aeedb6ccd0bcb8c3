"""Amounts of budgets in words, in the units that people use."""

from __future__ import annotations

from adaptive_middleware.budget.caps import Cap


def amount(unit: str, value: int) -> str:
    """A whole number of a budget's unit as people say it.

    >>> amount("usd", 1_234_500), amount("usd", 20_000_000), amount("prm_ms", 90_500), amount("tokens", 12_000)
    ('$1.2345', '$20.00', '90.5 s', '12,000')
    """
    match unit:
        case "usd":
            return dollars(value / 1e6)
        case "prm_ms":
            return f"{value / 1e3:,.1f} s"
        case _:
            return f"{value:,d}"


def dollars(value: float) -> str:
    """Dollars with cents, and with hundredths of cents where there are any.

    >>> dollars(0.5), dollars(1234.567), dollars(-2.0)
    ('$0.50', '$1,234.5670', '-$2.00')
    """
    whole, _, part = f"{abs(value):,.4f}".partition(".")
    return f"{'-' if value < 0 else ''}${whole}.{part.removesuffix('00')}"


def limit(cap: Cap) -> str:
    """A cap in words.

    >>> limit(Cap("tokens", 200_000, "tenant"))
    '200,000 tokens per day of each tenant'
    """
    unit = {"usd": "", "prm_ms": " of scoring"}.get(cap.unit, f" {cap.unit}")
    whose = "" if cap.scope == "all" else f" of each {cap.scope}"
    return f"{amount(cap.unit, cap.limit)}{unit} per {cap.window}{whose}"
