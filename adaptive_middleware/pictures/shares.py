"""The share of fixed-N cost that each policy needs at equal accuracy, as bars beside the whole."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_middleware.pictures.leaderboard import Entry, axis_of
from adaptive_middleware.pictures.picture import Picture, Table, percent, shortened
from adaptive_middleware.pictures.style import FAINT, in_percent, mark

_LESS, _MORE = mark(0), mark(1)
_LONGEST = 54


def compared(own: Sequence[Entry]) -> list[Entry]:
    """The rules that have a share, the smallest first."""
    told = [entry for entry in own if entry.share is not None and entry.fixed is None]
    return sorted(told, key=_share)


def shares(own: Sequence[Entry], name: str, title: str) -> Picture:
    """A bar for each rule of `own` that has a share; there must be one."""
    told = compared(own)
    rows = tuple((entry.policy, percent(_share(entry)), percent(entry.accuracy)) for entry in told)
    return Picture(
        name,
        title,
        finding(own),
        Table(f"{title}, smallest first", ("policy", "share", "accuracy"), rows),
        (4.6, 1.05 + 0.42 * len(told)),
        lambda figure: _draw(figure, told),
    )


def finding(own: Sequence[Entry]) -> str:
    """What the bars show, in words."""
    unit = "samples" if axis_of(own) == "samples" else "generated tokens"
    rules = [entry for entry in own if entry.fixed is None and not entry.oracle]
    told = compared(rules)
    less = sum(_share(entry) < 1 for entry in told)
    parts = [
        f"Rules that need fewer {unit} than fixed N with the same selection, at the same accuracy: {less} of {len(told)}."
    ]
    if told:
        best = told[0]
        parts.append(
            f"The least: {best.policy}, {percent(_share(best))} at {percent(best.accuracy)} accuracy."
        )
    if len(rules) > len(told):
        parts.append(f"{len(rules) - len(told)} more cannot be compared: no fixed N has their accuracy.")
    return " ".join(parts)


def _share(entry: Entry) -> float:
    return entry.share if entry.share is not None else float("inf")


def _draw(figure: Figure, told: Sequence[Entry]) -> None:
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    _bars(axes, told)
    for place, entry in enumerate(told):
        share = _share(entry)
        axes.text(0, place - 0.27, shortened(entry.policy, _LONGEST), va="bottom", ha="left", fontsize=9)
        axes.annotate(percent(share, 0), (share, place), (4, 0), textcoords="offset points", va="center")
    axes.axvline(1, color=FAINT, linestyle=":", linewidth=1.4)
    axes.set(ylim=(len(told) - 0.6, -0.85), xlim=(0, 1.15 * max(1.0, *map(_share, told))))
    axes.set_xlabel("share of fixed-N cost at equal accuracy")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    in_percent(axes, "x")
    figure.legend(loc="outside upper left", ncols=2)


def _bars(axes: Axes, told: Sequence[Entry]) -> None:
    """Filled where a rule is cheaper than fixed N, hatched where it is not."""
    cheaper = [place for place, entry in enumerate(told) if _share(entry) < 1]
    dearer = [place for place, entry in enumerate(told) if _share(entry) >= 1]
    if cheaper:
        lengths = [_share(told[place]) for place in cheaper]
        axes.barh(cheaper, lengths, 0.34, color=_LESS.colour, label="cheaper")
    if dearer:
        lengths = [_share(told[place]) for place in dearer]
        axes.barh(
            dearer, lengths, 0.34, color="none", edgecolor=_MORE.colour, hatch="////", label="not cheaper"
        )
