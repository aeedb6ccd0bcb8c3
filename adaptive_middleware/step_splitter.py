"""Steps of a text that arrives in chunks: a step is given out once no later text can change it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from adaptive_middleware.steps import BLANK_LINES, Boundary, split_steps

if TYPE_CHECKING:
    from adaptive_middleware.code.steps import CodeSteps

_RUNS = re.compile(r"\s+|\S+")
_LINE_BREAKS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


class StepSplitter:
    r"""Cuts a text as `split_steps` does, however it is cut into chunks, in time linear in its length.

    A step is closed by the first visible character of the next one: blank lines between them belong to the first.
    With `boundary="auto"` the first blank line inside the text decides for paragraphs; a text without one is
    known to consist of lines only at its end, so that `end` then gives all of them. With "code" a step is closed by the
    end of the next one's first line. A text whose beginning was cut elsewhere goes on after `before`, its steps so far:
    code after them is read as what it is, in or outside of a block.

    >>> splitter = StepSplitter("lines")
    >>> [splitter.feed(chunk) for chunk in ("2 + 2", " = 4\r", "\nso", " 4")]
    [[], [], ['2 + 2 = 4\r\n'], []]
    >>> splitter.rest, splitter.end()
    ('so 4', ['so 4'])
    """

    __slots__ = ("_blank", "_boundary", "_code", "_spaces", "_step")

    def __init__(self, boundary: Boundary = "auto", before: str = "") -> None:
        self._boundary: Boundary = boundary
        self._code = _code_after(before) if boundary == "code" else None
        self._step: list[str] = []
        self._spaces: list[str] = []
        self._blank = True

    def feed(self, chunk: str) -> list[str]:
        """The steps that `chunk` closed, in order."""
        if self._code is not None:
            return self._lines(self._code, chunk)
        closed: list[str] = []
        for match in _RUNS.finditer(chunk):
            run = match.group()
            if run.isspace():
                self._spaces.append(run)
                continue
            if self._spaces:
                closed += self._space_ended()
            self._step.append(run)
            self._blank = False
        return closed

    @property
    def boundary(self) -> Boundary:
        """What divides steps: `auto` until the text has decided."""
        return self._boundary

    @property
    def rest(self) -> str:
        """The text after the last closed step."""
        before = "" if self._code is None else self._code.rest
        return "".join([before, *self._step, *self._spaces])

    def end(self) -> list[str]:
        """The steps of the rest, now that no more comes; the splitter is empty afterwards."""
        if self._code is not None:
            return self._last(self._code)
        rest = self.rest
        self._step, self._spaces, self._blank = [], [], True
        return split_steps(rest, self._boundary)

    def _lines(self, code: CodeSteps, chunk: str) -> list[str]:
        """What the lines that `chunk` completes close; the last, open one is held as the pieces it came in."""
        *whole, last = chunk.split("\n")
        for line in whole:
            code.read("".join([*self._step, line, "\n"]))
            self._step.clear()
        if last:
            self._step.append(last)
        return code.take()

    def _last(self, code: CodeSteps) -> list[str]:
        if self._step:
            code.read("".join(self._step))
        closed, rest = code.take(), code.rest
        self._step, self._code = [], _code_after("")
        return [*closed, rest] if rest else closed

    def _space_ended(self) -> list[str]:
        """A visible character has come after white space: the step before it, where the space divides steps."""
        space = "".join(self._spaces)
        self._spaces = []
        cut = 0 if self._blank else self._cut(space)
        self._step.append(space[:cut] if cut else space)
        if not cut:
            return []
        closed = "".join(self._step)
        self._step = [space[cut:]]
        return [closed]

    def _cut(self, space: str) -> int:
        """Where white space between visible characters divides two steps: 0 when it does not."""
        breaks = _LINE_BREAKS if self._boundary == "lines" else BLANK_LINES
        cut = max((found.end() for found in breaks.finditer(space)), default=0)
        if cut and self._boundary == "auto":
            self._boundary = "paragraphs"
        return cut


def _code_after(text: str) -> CodeSteps:
    from adaptive_middleware.code.steps import CodeSteps  # noqa: PLC0415 - its patterns cost import time

    return CodeSteps.after(text)
