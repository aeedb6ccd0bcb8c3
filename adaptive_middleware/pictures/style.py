"""How charts look: one palette for paper and for dark screens, and the style that every figure is drawn in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

ROLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "ink": ("#1f2328", "#e6edf3"),
        "faint": ("#59636e", "#9da7b3"),
        "rule": ("#d1d9e0", "#3d444d"),
        "paper": ("#ffffff", "#0d1117"),
        "series-1": ("#0a5fb4", "#6cb6ff"),
        "series-2": ("#b93a08", "#ff9d6b"),
        "series-3": ("#00704f", "#45d19b"),
        "series-4": ("#8a3ea8", "#d3a4ff"),
        "series-5": ("#8a6000", "#e6b94a"),
        "series-6": ("#b02a70", "#ff8fc4"),
        "series-7": ("#4f5b66", "#a9b4bf"),
        "series-8": ("#006b75", "#4fd0dc"),
    }
)
"""Role -> its colour on white paper and on a dark screen. Charts are drawn in the first; a page swaps them."""

INK, FAINT, RULE, PAPER = (ROLES[role][0] for role in ("ink", "faint", "rule", "paper"))


Dashes = Literal["-", "--", "-.", ":"]


@dataclass(frozen=True, slots=True)
class Mark:
    """How one series is told from the others, never by colour alone: marker, dashes, and filled or open."""

    colour: str
    marker: str
    dashes: Dashes
    filled: bool = True

    @property
    def face(self) -> str:
        """Colour inside the marker."""
        return self.colour if self.filled else PAPER


_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h", "d", "8", "H", "1")
_DASHES: tuple[Dashes, ...] = ("-", "--", "-.", ":")


def mark(number: int) -> Mark:
    """The mark of the series with this number, from 0; 24 differ, then they begin again.

    >>> mark(0).marker, mark(1).marker, mark(8).filled, mark(16).marker
    ('o', 's', False, '<')
    """
    turn, place = divmod(number % 24, 8)
    colour = ROLES[f"series-{place + 1}"][0]
    return Mark(colour, _MARKERS[place + 8 * (turn == 2)], _DASHES[number % 4], turn != 1)


_OURS: Mapping[str, object] = MappingProxyType(
    {
        "svg.hashsalt": "adaptive-middleware",
        "svg.fonttype": "none",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "legend.frameon": False,
        "legend.fontsize": 10,
        "hatch.linewidth": 0.8,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.edgecolor": FAINT,
        "axes.facecolor": PAPER,
        "figure.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "grid.color": RULE,
        "grid.linewidth": 0.8,
    }
)


@contextmanager
def drawn() -> Iterator[None]:
    """The style inside which figures are drawn and written: the library's defaults and ours, nobody else's."""
    with matplotlib.style.context(["default", dict(_OURS)]):
        yield


def in_percent(axes: Axes, which: str = "xy") -> None:
    """Label the ticks of an axis that holds shares as percentages."""
    label = FuncFormatter(lambda value, _: f"{100 * value:.4g}%")
    for letter in which:
        (axes.xaxis if letter == "x" else axes.yaxis).set_major_formatter(label)


def whiskers(
    axes: Axes, x: Sequence[float], y: Sequence[float], ends: Sequence[tuple[float, float]], look: Mark
) -> None:
    """Markers with vertical 95 % intervals; an interval of NaN is left out."""
    axes.vlines(x, [low for low, _ in ends], [high for _, high in ends], colors=look.colour, linewidths=1.1)
    axes.plot(x, y, look.marker, color=look.colour, markerfacecolor=look.face, markersize=6, zorder=3)


def ideal_line(label: str) -> Line2D:
    """The legend's sample of the line on which everything would lie if it held exactly."""
    return Line2D([], [], color=FAINT, linestyle=":", linewidth=1.4, label=label)


def legend_line(look: Mark, label: str, *, line: bool = True) -> Line2D:
    """The legend's sample of a series."""
    return Line2D(
        [],
        [],
        color=look.colour,
        linestyle=look.dashes if line else "none",
        marker=look.marker,
        markerfacecolor=look.face,
        label=label,
    )
