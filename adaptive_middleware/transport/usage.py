"""What several requests cost: OpenAI's objects `usage` added up, whatever fields a provider adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def summed(usages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of several requests, number by number, as deep as they go; of other values the last known one.

    >>> summed([{"total_tokens": 3, "details": {"cached": 1}}, {"total_tokens": 4, "details": None}])
    {'total_tokens': 7, 'details': {'cached': 1}}
    """
    total: dict[str, Any] = {}
    for usage in usages:
        for name, value in usage.items():
            total[name] = _added(total.get(name), value)
    return total


def _added(left: Any, right: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(right, Mapping):
        return summed([left, right] if isinstance(left, Mapping) else [right])
    if _number(left) and _number(right):
        return left + right
    return left if right is None or _number(left) else right


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
