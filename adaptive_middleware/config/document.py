"""A configuration as it was written: plain values, and where each of them stands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TypeAlias

from adaptive_middleware.errors import ConfigError

KeyPath: TypeAlias = tuple[str | int, ...]
"""The way from the root of a document to a value: keys of mappings and positions in lists."""

MAX_DEPTH = 32
FREE = "args"
"""The key under which values are the user's own: null is allowed there."""


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file, both counted from 1; None where it is not known."""

    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration, where it stands, and what to do about it."""

    message: str
    path: KeyPath = ()
    place: Place = Place()

    @property
    def key(self) -> str:
        """The path in words, such as `policies.default.max_samples`; empty for the whole document."""
        return dotted(self.path)


@dataclass(frozen=True, slots=True)
class Document:
    """What a source says: its values, and the places and spellings that errors need.

    `keys` and `values` hold the place where a key, or its value, begins; `spellings` how a scalar is
    written where that differs from what it is read as. `problems` were found while reading; their values are
    absent from, or None in, `value`. `file` is None for a configuration that was passed as a mapping.
    """

    value: object
    file: str | None = None
    keys: Mapping[KeyPath, Place] = field(default_factory=dict)
    values: Mapping[KeyPath, Place] = field(default_factory=dict)
    spellings: Mapping[KeyPath, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def at(self, path: KeyPath, *, key: bool = False) -> Place:
        """Where the value (or the key) at `path` begins, else the nearest known thing around it."""
        places = self.keys if key else self.values
        if path in places:
            return places[path]
        while path and path not in self.keys:
            path = path[:-1]
        return self.keys.get(path, self.values.get(path, Place()))


def dotted(path: KeyPath) -> str:
    """A path in words.

    >>> dotted(("policies", "default", "when", "tags", 0))
    'policies.default.when.tags[0]'
    >>> dotted(("policies", "my.own"))
    "policies.'my.own'"
    """
    words = ""
    for part in path:
        plain = isinstance(part, str) and re.fullmatch(r"[\w-]+", part)
        words += f"[{part}]" if isinstance(part, int) else f".{part if plain else repr(part)}"
    return words.removeprefix(".")


def refusal(problems: Sequence[Problem], file: str | None) -> ConfigError:
    """The one error that says all of `problems` (at least one), a line each, in the order of the file."""
    ordered = in_order(problems)
    first, rest = ordered[0], ordered[1:]
    lines = [first.message, *(f"{_prefix(problem, file)}{problem.message}" for problem in rest)]
    return ConfigError("\n".join(lines), file=file, line=first.place.line, column=first.place.column)


def in_order(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Problems by line and column; those without a place come first."""
    return tuple(sorted(problems, key=lambda each: (each.place.line or 0, each.place.column or 0)))


def from_mapping(source: Mapping[str, object]) -> Document:
    """A configuration that was built in Python: the same rules hold, there are only no places."""
    problems: list[Problem] = []
    return Document(_plain(source, (), problems), problems=tuple(problems))


def unusable(document: Document) -> list[Problem]:
    """Values that no key can take: null outside `args`, numbers that are not finite, broken text."""
    known = {problem.path for problem in document.problems}
    found: list[Problem] = []
    _collect(document, document.value, (), known, found)
    return found


def _collect(
    document: Document, value: object, path: KeyPath, known: set[KeyPath], found: list[Problem]
) -> None:
    if path in known:
        return
    if isinstance(value, dict):
        for key, each in value.items():
            _collect(document, each, (*path, key), known, found)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _collect(document, each, (*path, index), known, found)
    elif (message := _unusable(value, path)) is not None:
        found.append(Problem(f"{dotted(path) or 'the document'} {message}", path, document.at(path)))


def _unusable(value: object, path: KeyPath) -> str | None:
    if value is None and FREE not in path:
        return "has no value; write one, or remove the key"
    if isinstance(value, float) and not isfinite(value):
        return f"is {value!r}, which is not a finite number; write a finite one"
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        return f"is {value!r}, which holds half a character (a lone surrogate); write the whole character"
    return None


def _plain(value: object, path: KeyPath, problems: list[Problem]) -> object:
    if len(path) > MAX_DEPTH:
        problems.append(Problem(f"{dotted(path[:3])}... is nested deeper than {MAX_DEPTH} levels", path))
        return None
    if isinstance(value, Mapping):
        plain = {}
        for key, each in value.items():
            if isinstance(key, str):
                plain[key] = _plain(each, (*path, key), problems)
            else:
                where = dotted(path) or "the configuration"
                problems.append(Problem(f"key {key!r} in {where} is not text; keys are strings", path))
        return plain
    if isinstance(value, (list, tuple)):
        return [_plain(each, (*path, index), problems) for index, each in enumerate(value)]
    return value


def _prefix(problem: Problem, file: str | None) -> str:
    parts = (file, problem.place.line, problem.place.column)
    place = ":".join(str(part) for part in parts if part is not None)
    return f"{place}: " if place else ""
