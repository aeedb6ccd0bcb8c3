"""Cut reasoning text into steps; joining the steps gives the text back, character for character."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Boundary: TypeAlias = Literal["auto", "paragraphs", "lines", "code"]
"""Where a step ends: at blank lines, at line breaks, at blank lines where the text has any, else at line breaks, or where
`code.steps` ends one: at the statements of Python, and at the blank lines of prose and other languages."""

BLANK_LINES = re.compile(r"\r?\n[ \t]*(?:\r?\n[ \t]*)+")


def split_steps(text: str, boundary: Boundary = "auto") -> list[str]:
    r"""Steps of a reasoning text: paragraphs when there are blank lines, otherwise lines.

    Each step keeps the line breaks that end it, so nothing is lost; a step is never blank unless the
    whole text is. An empty text has no steps. `boundary` fixes what a step is, whatever the text.

    >>> split_steps("3 + 4 = 7\n7 - 2 = 5\nThe answer is 5.")
    ['3 + 4 = 7\n', '7 - 2 = 5\n', 'The answer is 5.']
    """
    if boundary == "code":
        from adaptive_middleware.code.steps import code_steps  # noqa: PLC0415 - its patterns cost import time

        return code_steps(text)
    if boundary == "auto":
        boundary = "lines" if BLANK_LINES.search(text.strip()) is None else "paragraphs"
    pieces = _paragraphs(text) if boundary == "paragraphs" else text.splitlines(keepends=True)
    return _without_blanks(pieces)


def _paragraphs(text: str) -> list[str]:
    ends = [match.end() for match in BLANK_LINES.finditer(text)]
    starts = [0, *ends]
    return [text[start:end] for start, end in zip(starts, [*ends, len(text)], strict=True)]


def _without_blanks(pieces: list[str]) -> list[str]:
    steps: list[str] = []
    lead = ""
    for piece in pieces:
        if piece.strip():
            steps.append(lead + piece)
            lead = ""
        elif steps:
            steps[-1] += piece
        else:
            lead += piece
    if lead:
        steps.append(lead)
    return steps
