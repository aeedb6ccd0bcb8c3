"""The share of fixed-N cost that each policy needs at equal accuracy, as bars beside the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_middleware.pictures.leaderboard import Entry, axis_of
from adaptive_middleware.pictures.picture import Picture, Table, percent, shortened
from adaptive_middleware.pictures.style import FAINT, PAPER, in_percent, mark

_LESS, _MORE = mark(0), replace(mark(1), filled=False)
_LONGEST = 60


def compared(own: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Rules and bounds that have a share, the smallest first, by family in the order of the smallest."""
    told = [entry for entry in own if entry.share is not None and not entry.baseline]
    found: dict[str, list[Entry]] = {}
    for entry in sorted(told, key=_share):
        found.setdefault(entry.family, []).append(entry)
    return found


def shares(own: Sequence[Entry], name: str, title: str) -> Picture:
    """A bar for each family, up to its cheapest setting, and a point for every setting; there must be one."""
    found = compared(own)
    told = sorted((entry for members in found.values() for entry in members), key=_share)
    rows = tuple((entry.policy, percent(_share(entry)), percent(entry.accuracy)) for entry in told)
    return Picture(
        name,
        title,
        finding(own),
        Table(f"{title}, smallest first", ("policy", "share", "accuracy"), rows),
        (4.6, 1.1 + 0.42 * len(found)),
        lambda figure: _draw(figure, found),
    )


def finding(own: Sequence[Entry]) -> str:
    """What the bars show, in words."""
    unit = "samples" if axis_of(own) == "samples" else "generated tokens"
    rules = [entry for entry in own if entry.rule]
    told = sorted((entry for entry in rules if entry.share is not None), key=_share)
    less = sum(_share(entry) < 1 for entry in told)
    saving = (
        f"Rows of rules that need fewer {unit} than fixed N with the same selection, at the same accuracy"
    )
    parts = [f"{saving}: {less} of {len(told)}."]
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


def _draw(figure: Figure, found: Mapping[str, Sequence[Entry]]) -> None:
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    least = [_share(members[0]) for members in found.values()]
    axes.barh(range(len(found)), least, 0.3, color=_LESS.colour, alpha=0.25, linewidth=0)
    for place, name in enumerate(found):
        plate = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.5}
        label = axes.text(0, place - 0.24, shortened(name, _LONGEST), va="bottom", fontsize=9, bbox=plate)
        label.set_in_layout(False)  # a name that is too wide is cut, and leaves the bars their room
    _points(axes, list(found.values()))
    axes.axvline(1, color=FAINT, linestyle=":", linewidth=1.4)
    most = max(_share(entry) for members in found.values() for entry in members)
    axes.set(ylim=(len(found) - 0.6, -0.85), xlim=(0, 1.08 * max(1.0, most)))
    axes.set_xlabel("share of fixed-N cost at equal accuracy")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    in_percent(axes, "x")
    figure.legend(loc="outside upper left", ncols=2)


def _points(axes: Axes, families: Sequence[Sequence[Entry]]) -> None:
    """Filled where a rule is cheaper than fixed N, open where it is not."""
    places = [(_share(entry), row) for row, members in enumerate(families) for entry in members]
    for look, label, cheaper in ((_LESS, "cheaper", True), (_MORE, "not cheaper", False)):
        own = [(share, row) for share, row in places if (share < 1) is cheaper]
        if own:
            x, y = zip(*own, strict=True)
            axes.plot(x, y, look.marker, color=look.colour, markerfacecolor=look.face, label=label)
