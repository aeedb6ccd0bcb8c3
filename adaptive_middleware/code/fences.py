"""Fenced code blocks of Markdown: which line opens one, and which line closes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OPENS = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*([^\s`]*)[^`\n]*\n?")
_PYTHON = frozenset({"", "py", "python", "python3", "py3"})

_DEEPEST = 3


@dataclass(frozen=True, slots=True)
class Fence:
    """An open fence: its marker, how far it is indented, and the language it names ("" where it names none)."""

    marker: str
    indent: int
    language: str

    @property
    def python(self) -> bool:
        """Whether the block is read as Python: it says so, or says nothing."""
        return self.language in _PYTHON

    def closed_by(self, line: str) -> bool:
        """Whether `line` ends the block: a marker at least as long, at most three columns deeper, and nothing else."""
        said = line.strip()
        deep = len(line) - len(line.lstrip(" \t")) > self.indent + _DEEPEST
        return not deep and len(said) >= len(self.marker) and said == self.marker[0] * len(said)

    def inside(self, line: str) -> str:
        """A line of the block without the indentation of its fence."""
        spaces = len(line) - len(line.lstrip(" \t"))
        return line[min(spaces, self.indent) :]


def opened(line: str) -> Fence | None:
    """The fence that `line` opens, if it opens one; more than three columns deep, only where it names a language.

    >>> opened("```python"), opened("so ``` is no fence")
    (Fence(marker='```', indent=0, language='python'), None)
    """
    found = _OPENS.fullmatch(line.rstrip("\r\n"))
    if found is None:
        return None
    indent, marker, language = found.groups()
    if len(indent) > _DEEPEST and not language:
        return None
    return Fence(marker, len(indent), language.lower().strip("{}.").partition(",")[0])
