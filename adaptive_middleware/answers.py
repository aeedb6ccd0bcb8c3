r"""Canonical answers: what an answer says, without how it says it, so that equal answers can vote together.

Looked for in this order: tool calls, a JSON value, the last `\boxed{...}`, `#### x`, "the answer is x",
the last number. Numbers become exact fractions; nothing here is symbolic algebra, so `\frac{\pi}{2}` and
`\pi/2` stay different (measured in `docs/recordings.md`). Every search is linear in the text.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Sequence

from adaptive_middleware.normal import normal_answer
from adaptive_middleware.tool_calls import canonical_calls
from adaptive_middleware.tool_rules import ToolRule
from adaptive_middleware.types import Path

_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"\\(?:boxed|fbox)[ \t]+([^\s{}$\\]{1,64})")
_HASHES = re.compile(r"^[ \t]*####[ \t]*(\S[^\n]*)$", re.MULTILINE)
_MARKER = re.compile(r"\banswer[*_]{0,3}\s*(?:is|:|=)[*_]{0,3}[\s:]*", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|\n")
_FENCE = re.compile(r"```json\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_NUMBER = re.compile(
    r"\\[dt]?frac\s?\{-?[0-9]{1,40}\}\s?\{[0-9]{1,40}\}"
    r"|[0-9](?:[0-9,]{0,60}[0-9])?(?:\.[0-9]{1,60})?(?:\s?/\s?[0-9]{1,40})?"
    r"|\.[0-9]{1,60}"
)
_NEGATIVE = re.compile(r"(?:^|[\s(\[{=:$*,])-$")
_WINDOW, _CLAUSE, _SHORT = 256, 500, 48


def canonical_answer(path: Path, rules: Sequence[ToolRule] = ()) -> str | None:
    r"""The answer of `path` in canonical form, or None when it has none.

    An answer that calls tools says those calls (`canonical_calls`, with the `rules` of the tools) and nothing else.

    >>> canonical_answer(Path(("2 apples and 3 more. ", "So there are 5.0 apples.")))
    '5'
    >>> canonical_answer(Path((r"Thus $x = \boxed{\frac12}$.",)))
    '1/2'
    >>> canonical_answer(Path(("I do not know.",)))
    """
    if path.tool_calls:
        return canonical_calls(path.tool_calls, rules)
    return text_answer(path.text)


def text_answer(text: str) -> str | None:
    r"""The canonical answer that `text` ends with, or None when it has none.

    >>> text_answer('```json\n{"b": 2, "a": 1.0}\n```')
    '{"a":1,"b":2}'
    """
    structured = _json_answer(text)
    if structured is not None:
        return structured
    return next(filter(None, map(normal_answer, _found(text))), None)


def written_answer(text: str) -> str | None:
    r"""The answer that `text` ends with, spelled as it is there; None when it has none.

    >>> written_answer(r"So it is \boxed{\text{Ann}}."), text_answer(r"So it is \boxed{\text{Ann}}.")
    ('\\text{Ann}', 'ann')
    """
    return next(filter(None, (found.strip(" \t\r\n$*.") for found in _found(text))), None)


def equal_answers(first: str | None, second: str | None) -> bool:
    r"""Whether two answers, canonical or as written, say the same; None equals nothing.

    >>> equal_answers(r"\frac{1}{2}", "0.50"), equal_answers(None, None)
    (True, False)
    """
    return first is not None and second is not None and normal_answer(first) == normal_answer(second)


def _found(text: str) -> Iterator[str]:
    yield from _last_box(text)
    yield from _last_hashes(text)
    yield from _last_statement(text)
    yield from _last_number(text)


def _last_box(text: str) -> Iterator[str]:
    # The contents of the box opened last, among those that are closed and not empty.
    if "\\boxed" not in text and "\\fbox" not in text:
        return
    opened: list[int] = []
    best = (-1, -1)
    for match in _BRACES.finditer(text):
        brace = match.group()
        if brace[-1] == "{" and brace != r"\{":
            opened.append(match.end() if len(brace) > 1 else -1)
        elif brace == "}" and opened:
            start = opened.pop()
            if start > best[0] and start < match.start():
                best = (start, match.start())
    if best[0] < 0:
        best = max((match.span(1) for match in _BARE_BOX.finditer(text)), default=best)
    if best[0] >= 0:
        yield text[best[0] : best[1]]


def _last_hashes(text: str) -> Iterator[str]:
    # What follows GSM8K's `####`: a number, or anything on the last line; other lines are headings.
    if "##" not in text:
        return
    end = len(text.rstrip())
    found = [
        match.group(1)
        for match in _HASHES.finditer(text)
        if match.group(1)[0] in "-+$.0123456789\\" or match.end() >= end
    ]
    yield from found[-1:]


def _last_statement(text: str) -> Iterator[str]:
    end = max((match.end() for match in _MARKER.finditer(text)), default=None)
    if end is None:
        return
    clause = text[end : end + _CLAUSE]
    stop = _SENTENCE_END.search(clause)
    clause = clause if stop is None else clause[: stop.start()]
    if len(clause) > _SHORT:
        yield from _last_number(clause)
    yield clause


def _last_number(text: str) -> Iterator[str]:
    # Only a window around the last digit is searched.
    at = max(text.rfind(digit) for digit in "0123456789")
    if at < 0:
        return
    (last,) = deque(_NUMBER.finditer(text, max(at - _WINDOW, 0), at + 3), maxlen=1)
    sign = _NEGATIVE.search(text, max(last.start() - 2, 0), last.start())
    yield f"-{last.group()}" if sign else last.group()


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
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _json_float(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _refused(name: str) -> object:
    message = f"{name} is not JSON"
    raise ValueError(message)
