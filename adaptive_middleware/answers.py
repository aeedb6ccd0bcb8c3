r"""Canonical answers: what an answer says, without how it says it, so that equal answers can vote together.

Looked for in this order: tool calls, a JSON value, the last `\boxed{...}`, `#### x`, "the answer is x",
the last number. Numbers become exact fractions; nothing here is symbolic algebra, so `\frac{\pi}{2}` and
`\pi/2` stay different (see `docs/recordings.md` for what that costs). Every search is linear in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from adaptive_middleware.normal import normal_answer
from adaptive_middleware.types import Path

_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"\\(?:boxed|fbox)[ \t]+([^\s{}$\\]{1,64})")
_HASHES = re.compile(r"^[ \t]*####[ \t]*(\S[^\n]*)$", re.MULTILINE)
_MARKER = re.compile(r"\banswer[*_]{0,3}\s*(?:is|:|=)[*_]{0,3}[\s:]*", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|\n")
_FENCE = re.compile(r"```json\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_DIGITS = "0123456789"
_NUMBER = re.compile(
    r"\\[dt]?frac\s?\{-?[0-9]{1,40}\}\s?\{[0-9]{1,40}\}"
    r"|[0-9](?:[0-9,]{0,60}[0-9])?(?:\.[0-9]{1,60})?(?:\s?/\s?[0-9]{1,40})?"
    r"|\.[0-9]{1,60}"
)
_WINDOW, _CLAUSE, _SHORT = 256, 500, 48


def canonical_answer(path: Path) -> str | None:
    r"""The answer of `path` in canonical form, or None when it has none.

    >>> canonical_answer(Path(("2 apples and 3 more. ", "So there are 5.0 apples.")))
    '5'
    >>> canonical_answer(Path((r"Thus $x = \boxed{\frac12}$.",)))
    '1/2'
    >>> canonical_answer(Path(("I do not know.",)))
    """
    if path.tool_calls:
        return _json([[call.name, dict(call.arguments)] for call in path.tool_calls])
    return text_answer(path.text)


def text_answer(text: str) -> str | None:
    """The canonical answer that `text` ends with, or None when it has none.

    >>> text_answer('```json\\n{"b": 2, "a": 1.0}\\n```')
    '{"a":1,"b":2}'
    """
    structured = _json_answer(text)
    if structured is not None:
        return structured
    for found in _marked(text):
        answer = normal_answer(found)
        if answer:
            return answer
    number = _last_number(text)
    return None if number is None else normal_answer(number)


def equal_answers(first: str | None, second: str | None) -> bool:
    r"""Whether two answers, canonical or as written, say the same; None equals nothing.

    >>> equal_answers(r"\frac{1}{2}", "0.50"), equal_answers(None, None)
    (True, False)
    """
    return first is not None and second is not None and normal_answer(first) == normal_answer(second)


def _marked(text: str) -> Iterator[str]:
    yield from _last_box(text)
    yield from _last_hashes(text)
    yield from _last_statement(text)


def _last_box(text: str) -> Iterator[str]:
    """The contents of the box opened last among those that are closed and not empty."""
    if "\\boxed" not in text and "\\fbox" not in text:
        return
    open_at: list[int] = []
    best = (-1, -1)
    for match in _BRACES.finditer(text):
        token = match.group()
        if token[-1] == "{" and token != "\\{":
            open_at.append(match.end() if len(token) > 1 else -1)
        elif token == "}" and open_at:
            start = open_at.pop()
            if start > best[0] and text[start : start + 1] != "}":
                best = (start, match.start())
    if best[0] >= 0:
        yield text[best[0] : best[1]]
    for match in _BARE_BOX.finditer(text):
        best = match.span(1)
    yield text[best[0] : best[1]]


def _last_hashes(text: str) -> Iterator[str]:
    """What follows GSM8K's `####`: a number, or anything on the last line (else it is a heading)."""
    last = None
    end = len(text.rstrip())
    for match in _HASHES.finditer(text):
        if match.group(1)[0] in "-+$.0123456789\\" or match.end() >= end:
            last = match
    if last is not None:
        yield last.group(1)


def _last_statement(text: str) -> Iterator[str]:
    last = None
    for match in _MARKER.finditer(text):
        last = match
    if last is None:
        return
    clause = text[last.end() : last.end() + _CLAUSE]
    end = _SENTENCE_END.search(clause)
    clause = clause if end is None else clause[: end.start()]
    number = _last_number(clause) if len(clause) > _SHORT else None
    yield clause if number is None else number


def _last_number(text: str) -> str | None:
    """The last number of `text` as written; only a window around the last digit is searched."""
    at = max(text.rfind(digit) for digit in _DIGITS)
    if at < 0:
        return None
    start = max(at - _WINDOW, 0)
    last = None
    for match in _NUMBER.finditer(text, start, at + 3):
        last = match
    assert last is not None  # noqa: S101 - the window holds a digit
    before = text[max(last.start() - 2, 0) : last.start()]
    negative = before.endswith("-") and not before[:1].strip("- ([{=:$*\n\t")
    return f"-{last.group()}" if negative else last.group()


def _json_answer(text: str) -> str | None:
    body = text.strip()
    if fences := _FENCE.findall(body):
        body = fences[-1].strip()
    if body[:1] not in ("{", "["):
        return None
    try:
        return _json(json.loads(body, parse_float=_json_float, parse_constant=_refused))
    except (ValueError, RecursionError):
        return None


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _json_float(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _refused(name: str) -> object:
    message = f"{name} is not JSON"
    raise ValueError(message)
