r"""The normal form of one answer: numbers as exact fractions, LaTeX and words in one spelling.

Percent signs, units, currency and trailing punctuation are dropped (`10\%`, `10 cm` and `$10` are all
`10`, as graders of mathematical benchmarks read them). No symbolic algebra.
"""

from __future__ import annotations

import re
from fractions import Fraction

_LONGEST = 400
_ROUNDS = 12
_BEFORE = " \t\r\n*`\"'“”,;:!?$~"
_AFTER = _BEFORE + "."

_REPLACED = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\\$|\\[()\[\]](?![0-9a-zA-Z])|\\left(?![a-z])\.?|\\right(?![a-z])\.?|[$£€]", ""),
        (r"\\displaystyle(?![a-z])|\\[!]", ""),
        (r"\\[,;: ]|\\q?quad(?![a-z])|~|\\\\", " "),
        (r"\^\{?\s?\\circ\s?\}?|\\circ(?![a-z])|°|\\?%", ""),
        (r"\\[dt]frac(?![a-z])", r"\\frac"),
        (r"\\frac\s?([0-9])\s?([0-9])", r"\\frac{\1}{\2}"),
        (r"\\sqrt\s?([0-9a-zA-Z])", r"\\sqrt{\1}"),
        (r"([_^])\s?\{\s?([0-9a-zA-Z])\s?\}", r"\1\2"),
        (r"(?<=[0-9])\s?\\(?:text|mathrm|mbox|textrm)\s?\{[ A-Za-z./-]*\}(?:\^[0-9])?\s?$", ""),
        (r"\\(?:text|mathrm|mbox|textrm|textbf|mathbf|textit|boxed|fbox)\s?\{([^{}]*)\}", r"\1"),
        (r"\\(?:leq|le)(?![a-z])", "≤"),
        (r"\\(?:geq|ge)(?![a-z])", "≥"),
        (r"−|–", "-"),
        (r"\s+", " "),
    )
]
_ASSIGNED = re.compile(r"^[A-Za-z](?:_[A-Za-z0-9])?(?:\([A-Za-z]\))?\s?=\s?(?=[^\s=])")
_UNIT = re.compile(
    r"^([-+]?[0-9][0-9,]*(?:\.[0-9]+)?(?:/[0-9]+)?)"
    r"(?: (?!and |or |to |times |by |plus |minus )[A-Za-z.]{2,20}(?:\^[0-9])?){1,3}$"
)
_WORDS = re.compile(r"^[^\W\d_]{2,}(?:[ '-][^\W\d_]+)*$")
_DECIMAL = r"[0-9]{1,60}(?:\.[0-9]{0,60})?|\.[0-9]{1,60}|[0-9]{1,3}(?:,[0-9]{3}){1,20}(?:\.[0-9]{0,60})?"
_RATIO = re.compile(rf"^({_DECIMAL})(?:\s?/\s?({_DECIMAL}))?$")
_LATEX_RATIO = re.compile(
    rf"^([0-9]{{1,30}})?\s?\\frac\s?\{{\s?(-?)\s?({_DECIMAL})\s?\}}\s?\{{\s?({_DECIMAL})\s?\}}$"
)
_MIXED = re.compile(r"^([0-9]{1,30}) ([0-9]{1,30})/([0-9]{1,30})$")
_SCIENTIFIC = re.compile(
    rf"^({_DECIMAL})\s?(?:[eE]|(?:\\times|×|\\cdot|\*)\s?10\s?\^\s?)\{{?\s?([-+]?[0-9]{{1,2}})\s?\}}?$"
)


def normal_answer(text: str) -> str:
    r"""`text` in normal form: equal answers give equal strings, and a normal form is its own.

    >>> [normal_answer(x) for x in ("1,000", "3.0", r"\frac12", "50\\%", "42 \\, \\text{inches}", "x = 5.")]
    ['1000', '3', '1/2', '50', '42', '5']
    >>> normal_answer(r"\left( 3, \dfrac{\pi}{2} \right)"), normal_answer(r"\text{Evelyn}")
    ('(3,\\frac{\\pi}{2})', 'evelyn')
    """
    text = " ".join(text.split())
    if len(text) > _LONGEST:
        return text
    if text.isascii() and text.isdigit():  # most answers: not worth nine patterns
        return str(int(text))
    before = ""
    for _ in range(_ROUNDS):
        if text != before:
            before, text = text, _round(text)
    return text


def number(text: str) -> Fraction | None:
    r"""The exact value of a plain, fractional, mixed or scientific number, or None.

    >>> number("-1.50"), number("3/4"), number(r"2\frac{1}{2}"), number("two")
    (Fraction(-3, 2), Fraction(3, 4), Fraction(5, 2), None)
    """
    text = text.strip()
    sign = -1 if text[:1] == "-" else 1
    value = _magnitude(text[1:].lstrip() if text[:1] in ("-", "+") else text)
    return None if value is None else sign * value


def _round(text: str) -> str:
    text = text.lstrip(_BEFORE).rstrip(_AFTER)
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    text = _ASSIGNED.sub("", text.lstrip(_BEFORE).rstrip(_AFTER), count=1)
    if unit := _UNIT.match(text):
        text = unit.group(1)
    value = number(text)
    if value is not None:
        return str(value)
    return text.casefold() if _WORDS.match(text) else text.replace(" ", "")


def _magnitude(text: str) -> Fraction | None:
    if match := _RATIO.match(text):
        return _quotient(match.group(1), match.group(2) or "1")
    if match := _LATEX_RATIO.match(text):
        whole, minus, top, bottom = match.groups()
        part = _quotient(top, bottom)
        if part is None or (whole and minus):
            return None
        return int(whole or 0) + (-part if minus else part)
    if match := _MIXED.match(text):
        part = _quotient(match.group(2), match.group(3))
        return None if part is None else int(match.group(1)) + part
    if match := _SCIENTIFIC.match(text):
        return _exact(match.group(1)) * Fraction(10) ** int(match.group(2))
    return None


def _quotient(top: str, bottom: str) -> Fraction | None:
    divisor = _exact(bottom)
    return _exact(top) / divisor if divisor else None


def _exact(decimal: str) -> Fraction:
    return Fraction(decimal.replace(",", ""))
