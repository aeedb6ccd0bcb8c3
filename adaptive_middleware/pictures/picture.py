"""A picture: a chart, what it shows in words, and the table of its numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isnan

from matplotlib.figure import Figure

Interval = tuple[float, float]
NONE = "–"
"""What a table shows where there is no number."""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers of a chart, formatted: a caption, column names, and rows whose first cell names the row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart with its alternatives: `finding` says in words what is to be seen, `table` holds the numbers.

    `name` is the file name without its ending; `draw` fills an empty figure of `size` (width and height in
    inches) and is called inside the style of `style.drawn`.
    """

    name: str
    title: str
    finding: str
    table: Table
    size: tuple[float, float]
    draw: Callable[[Figure], None]


def percent(value: float | None, digits: int = 1) -> str:
    r"""A share as a percentage; a dash where there is none.

    >>> percent(0.9012), percent(float("nan"))
    ('90.1\xa0%', '–')
    """
    return NONE if value is None or isnan(value) else f"{100 * value:.{digits}f}\u00a0%"


def between(interval: Interval, digits: int = 1) -> str:
    r"""An interval of shares; a dash where there is none.

    >>> between((0.5, 0.625))
    '50.0 to 62.5\xa0%'
    """
    low, high = interval
    return NONE if isnan(low) or isnan(high) else f"{100 * low:.{digits}f} to {percent(high, digits)}"


def points(value: float, digits: int = 1) -> str:
    """A difference of shares in percentage points, with its sign.

    >>> points(0.021)
    '+2.1 points'
    """
    return f"{100 * value:+.{digits}f} points"


def number(value: float | None) -> str:
    """A count or a mean of counts: three figures below 100, whole above; a dash where there is none.

    >>> number(7.123), number(12345.6), number(None)
    ('7.12', '12,346', '–')
    """
    if value is None or isnan(value):
        return NONE
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def shortened(name: str, most: int) -> str:
    """The name in at most `most` characters; the middle goes, because names differ at their ends.

    >>> shortened("optimal stopping, argmax", 14)
    'optimal…argmax'
    """
    if len(name) <= most:
        return name
    tail = (most - 1) // 2
    return f"{name[: most - 1 - tail]}…{name[-tail:]}"


def printable(text: str) -> str:
    r"""The text without what neither HTML nor XML can hold (control characters, lone surrogates): shown as U+FFFD.

    >>> printable("a\x00b")
    'a�b'
    """
    return _UNPRINTABLE.sub("\ufffd", text)
