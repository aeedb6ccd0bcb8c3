"""One JSON object of a recording, read field by field with checks that name file, line, field and value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import exp, isfinite
from typing import NoReturn

from adaptive_middleware.errors import RecordingError


class Row:
    """A JSON object and its place (`file:line`); remembers which fields were asked for."""

    def __init__(self, place: str, fields: Mapping[str, object]) -> None:
        self._place, self._fields = place, fields
        self._asked: set[str] = set()

    @classmethod
    def parse(cls, place: str, line: str) -> Row:
        """The row of one line; raises `RecordingError` when it is not one JSON object."""
        try:
            fields = json.loads(line, parse_constant=_refused)
        except (ValueError, RecursionError) as error:
            message = f"{place}: not JSON ({error}); a recording has one JSON object a line"
            raise RecordingError(message) from error
        if not isinstance(fields, dict):
            message = f"{place}: a JSON {type(fields).__name__}, not an object; see docs/recordings.md"
            raise RecordingError(message)
        return cls(place, fields)

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._fields.get(name) is not None

    def rest(self) -> dict[str, object]:
        """The fields that nobody asked for, without nulls."""
        return {
            name: value
            for name, value in self._fields.items()
            if name not in self._asked and value is not None
        }

    def rows(self, name: str) -> list[Row]:
        """A list of at least one object."""
        values = self._value(name)
        if not isinstance(values, list) or not values:
            self._wrong(name, values, "a list of at least one sample")
        rows = []
        for index, value in enumerate(values):
            if not isinstance(value, dict):
                self._wrong(f"{name}[{index}]", value, "an object")
            rows.append(Row(f"{self._place}: {name}[{index}]", value))
        return rows

    def name(self, name: str) -> str:
        """A text or whole number, as text."""
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            self._wrong(name, value, "a text or a whole number")
        return str(value)

    def label(self, *names: str) -> int | str | None:
        """The first field that is there: a text or whole number, or None."""
        name = next((one for one in names if self.has(one)), names[0])
        value = self._optional(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            self._wrong(name, value, "a text or a whole number")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """A text; `default` when it is absent and there is one."""
        value = self._value(name) if default is None else self._optional(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            self._wrong(name, value, "a text")
        return value

    def optional_text(self, name: str) -> str | None:
        """A text or None."""
        return self.text(name) if self._optional(name) is not None else None

    def flag(self, name: str) -> bool:
        """True or false, nothing else."""
        value = self._value(name)
        if not isinstance(value, bool):
            self._wrong(name, value, "true or false")
        return value

    def count(self, name: str) -> int | None:
        """A whole number of at least 0, or None."""
        value = self._optional(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self._wrong(name, value, "a whole number of at least 0")
        return value

    def counts(self, total: str, part: str) -> tuple[int, int]:
        """Two counts, 1 <= total and part <= total."""
        if not self.has(total):
            message = f"{self._place}: neither 'samples' nor {total!r} and {part!r}; see docs/recordings.md"
            raise RecordingError(message)
        n, k = self.count(total), self.count(part)
        if k is None:
            self._missing(part)
        if not n or k > n:
            self._wrong(part, k, f"at most {total!r}, which is {n} and must be at least 1")
        return n, k

    def probability(self, name: str) -> float | None:
        """A number in [0, 1], or None."""
        value = self._optional(name)
        return None if value is None else self._probability(name, value)

    def probabilities(self, name: str) -> tuple[float, ...] | None:
        """At least one number in [0, 1], or None for null or an empty list."""
        values = self._list(name)
        return tuple(self._probability(f"{name}[{i}]", value) for i, value in enumerate(values)) or None

    def score(self, name: str, logit: str) -> float | None:
        """A number in [0, 1], else the logistic function of the logit in the other field, else None."""
        value = self.probability(name)
        if value is not None or not self.has(logit):
            return value
        raw = self._number(logit, self._optional(logit))
        return 1 / (1 + exp(-raw)) if raw >= 0 else exp(raw) / (1 + exp(raw))

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """Numbers, or None for null or an empty list."""
        return tuple(self._number(f"{name}[{i}]", value) for i, value in enumerate(self._list(name))) or None

    def tallies(self, name: str) -> tuple[int, ...] | None:
        """Whole numbers of at least 0, or None for null or an empty list."""
        values = self._list(name)
        counts = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
        if len(counts) < len(values) or any(count < 0 for count in counts):
            self._wrong(name, values, "whole numbers of at least 0")
        return tuple(counts) or None

    def pairs(self, name: str) -> tuple[tuple[float, float], ...] | None:
        """Pairs of numbers, or None for null or an empty list."""
        found: list[tuple[float, float]] = []
        for i, value in enumerate(self._list(name)):
            if not isinstance(value, list) or len(value) != 2:
                self._wrong(f"{name}[{i}]", value, "a pair of numbers")
            low, mean = (self._number(f"{name}[{i}]", one) for one in value)
            found.append((low, mean))
        return tuple(found) or None

    def ends(self, name: str, text: str) -> tuple[int, ...] | None:
        """Ascending character offsets that end at the end of `text`, or None."""
        values = self._list(name)
        if not values:
            return None
        ends = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
        if len(ends) < len(values) or sorted(set(ends)) != ends or ends[0] < 1 or ends[-1] != len(text):
            self._wrong(name, values, f"ascending character offsets that end at len(text) = {len(text)}")
        return tuple(ends)

    def refuse(self, why: str) -> NoReturn:
        """Raise `RecordingError` with this row's place."""
        message = f"{self._place}: {why}"
        raise RecordingError(message)

    def _list(self, name: str) -> Sequence[object]:
        values = self._optional(name)
        if values is None:
            return ()
        if not isinstance(values, list):
            self._wrong(name, values, "a list or null")
        return values

    def _probability(self, name: str, value: object) -> float:
        number = self._number(name, value)
        if not 0 <= number <= 1:
            self._wrong(name, value, "in [0, 1]")
        return number

    def _number(self, name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
            self._wrong(name, value, "a finite number")
        return float(value)

    def _value(self, name: str) -> object:
        value = self._optional(name)
        if value is None:
            self._missing(name)
        return value

    def _optional(self, name: str) -> object:
        self._asked.add(name)
        return self._fields.get(name)

    def _missing(self, name: str) -> NoReturn:
        message = f"{self._place}: {name!r} is missing; see docs/recordings.md"
        raise RecordingError(message)

    def _wrong(self, name: str, value: object, expected: str) -> NoReturn:
        message = f"{self._place}: {name!r} is {_short(value)}, but must be {expected}"
        raise RecordingError(message)


def _finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:
        return False


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refused(name: str) -> NoReturn:
    message = f"{name} is not a JSON number"
    raise ValueError(message)
