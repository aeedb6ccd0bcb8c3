"""The rows of a leaderboard, read and checked: policies on recordings, what they achieved and what it cost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan
from typing import Any, NoReturn

from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.pictures.picture import Interval, printable

_FIXED = (
    re.compile(r"fixed\s+N(?P<select>[^;]*);\s*(?:N\s*=|cap)\s*(?P<n>\d+)", re.IGNORECASE),
    re.compile(
        r"fixed[\s:]\s*n\s*=\s*(?P<n>\d+)(?:\s*,\s*(?:select\s*=\s*)?(?P<select>[\w -]+))?", re.IGNORECASE
    ),
)
"""`fixed N, argmax; N = 8` and `fixed:n=8,select=argmax`."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Fixed N with a selection; the selection is empty where the policy's name does not say it."""

    n: int
    select: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One policy on one recording: means per problem. Costs are None where they are not known.

    `share` is the share of fixed-N cost at equal accuracy, None where fixed N never gets there.
    """

    recording: str
    policy: str
    accuracy: float
    accuracy_ci95: Interval
    samples: float | None
    generated_tokens: float | None
    prompt_tokens: float | None
    prm_tokens: float | None
    share: float | None
    fixed: Fixed | None

    @property
    def family(self) -> str:
        """The policy's name without its settings: up to a semicolon; else a colon or bracket; else a comma."""
        mark = next((mark for mark in (";", "[:(]", ",") if re.search(mark, self.policy)), "$")
        return re.split(mark, self.policy, maxsplit=1)[0].strip() or self.policy

    @property
    def oracle(self) -> bool:
        """Whether the rule knows what no rule can know: it bounds the others and is never the best of them."""
        return "oracle" in self.policy.lower()

    @property
    def baseline(self) -> bool:
        """Whether this is fixed N, be it with an N that was chosen on other problems."""
        return self.fixed is not None or self.policy.lower().startswith("fixed ")

    @property
    def rule(self) -> bool:
        """Whether this is what is compared: neither fixed N nor an oracle."""
        return not self.baseline and not self.oracle

    def cost(self, axis: str) -> float:
        """Generated tokens, or samples: `axis` is the field's name. NaN where it is not known."""
        cost = self.generated_tokens if axis == "generated_tokens" else self.samples
        return nan if cost is None else cost


def fixed_of(policy: str) -> Fixed | None:
    """N and selection of a fixed-N row's name; None for any other policy.

    >>> fixed_of("fixed:n=8,select=argmax"), fixed_of("fixed N, argmax; N = 8")
    (Fixed(n=8, select='argmax'), Fixed(n=8, select='argmax'))
    """
    found = next((match for pattern in _FIXED if (match := pattern.match(policy))), None)
    return None if found is None else Fixed(int(found["n"]), (found["select"] or "").strip(" ,"))


def entries(rows: Sequence[Mapping[str, Any]]) -> tuple[Entry, ...]:
    """The rows, checked; keys beyond those of `Entry` are ignored, and so are rows of recordings that were absent.

    Raises `AdaptiveError` naming row, key and value when a row cannot be drawn, and when there is none.
    """
    if not rows:
        message = "the leaderboard has no rows: there is nothing to draw; run the benchmark that writes them"
        raise AdaptiveError(message)
    there = [(number, row) for number, row in enumerate(rows, 1) if row.get("policy") != "absent"]
    if not there:
        message = f"all {len(rows)} recordings of the leaderboard were absent: there is nothing to draw"
        raise AdaptiveError(message)
    return tuple(_entry(number, row) for number, row in there)


def axis_of(own: Sequence[Entry]) -> str:
    """What these rows are compared by: generated tokens, or samples where tokens are not known or none are."""
    return "generated_tokens" if any(entry.generated_tokens for entry in own) else "samples"


def _entry(number: int, row: Mapping[str, Any]) -> Entry:
    policy = _name(number, row, "policy")
    return Entry(
        recording=_name(number, row, "recording"),
        policy=policy,
        accuracy=_number(number, "accuracy", _value(number, row, "accuracy"), 1),
        accuracy_ci95=_interval(number, _value(number, row, "accuracy_ci95")),
        samples=_cost(number, row, "samples"),
        generated_tokens=_cost(number, row, "generated_tokens"),
        prompt_tokens=_cost(number, row, "prompt_tokens"),
        prm_tokens=_cost(number, row, "prm_tokens"),
        share=_cost(number, row, "share_at_equal_accuracy"),
        fixed=fixed_of(policy),
    )


def _value(number: int, row: Mapping[str, Any], key: str) -> object:
    if key not in row:
        _refuse(number, f"has no {key!r}")
    return row[key]


def _name(number: int, row: Mapping[str, Any], key: str) -> str:
    value = _value(number, row, key)
    if not isinstance(value, str) or not value.strip():
        _refuse(number, f"{key} is {value!r}, not a name")
    return printable(value)


def _cost(number: int, row: Mapping[str, Any], key: str) -> float | None:
    value = _value(number, row, key)
    return None if value is None else _number(number, key, value, inf)


def _interval(number: int, value: object) -> Interval:
    if not isinstance(value, list | tuple) or len(value) != 2:
        _refuse(number, f"accuracy_ci95 is {value!r}, not [low, high]")
    low, high = (_number(number, "accuracy_ci95", end, 1) for end in value)
    if low > high:
        _refuse(number, f"accuracy_ci95 is {value!r}: the low end is above the high one")
    return low, high


def _number(number: int, key: str, value: object, most: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
        _refuse(number, f"{key} is {value!r}, not a finite number")
    if not 0 <= value <= most:
        _refuse(number, f"{key} is {value!r}, not {'in [0, 1]' if most == 1 else 'at least 0'}")
    return float(value)


def _refuse(number: int, what: str) -> NoReturn:
    message = f"leaderboard row {number} {what}; write the rows again with `make bench-allocation`"
    raise AdaptiveError(message)
