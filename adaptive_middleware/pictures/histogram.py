"""The score histogram: where right and wrong paths lie on the scale, raw and calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from adaptive_middleware.calibration import metrics
from adaptive_middleware.pictures.judged import Judged, Side
from adaptive_middleware.pictures.picture import Picture, Table, between, percent
from adaptive_middleware.pictures.resamples import Floats
from adaptive_middleware.pictures.style import in_percent, mark

_BINS = 20
_RIGHT, _WRONG = mark(0), mark(1)
_SURE = 0.9


@dataclass(frozen=True, slots=True)
class Split:
    """Shares of all paths in each of twenty equally wide bins: those that ended right, and those that did not.

    A path with a measured rate is divided: rate of it is right, the rest wrong.
    """

    side: Side
    right: Floats
    wrong: Floats


def split(paths: Judged, side: Side) -> Split:
    """The histogram of one side; right and wrong together add up to 1."""
    edges = np.linspace(0, 1, _BINS + 1)
    shares = [
        np.histogram(side.probabilities, bins=edges, weights=weight / len(weight))[0]
        for weight in (paths.success, 1 - paths.success)
    ]
    return Split(side, shares[0], shares[1])


def histogram(paths: Judged, name: str, title: str) -> Picture:
    """Share of right and of wrong paths at each score, raw above and calibrated below."""
    splits = [split(paths, side) for side in paths.sides]
    return Picture(
        name, title, finding(paths), _table(title, splits), (4.6, 4.4), lambda figure: _draw(figure, splits)
    )


def finding(paths: Judged) -> str:
    """What the histogram shows, in words."""
    sentences = [_sure(paths)]
    if set(paths.success.tolist()) == {0.0, 1.0}:
        raw, calibrated = (
            metrics.auroc(side.probabilities.tolist(), paths.success.tolist()) for side in paths.sides
        )
        sentences.append(
            f"The probability that a right one scores above a wrong one (AUROC) is {raw:.3f} raw and "
            f"{calibrated:.3f} calibrated."
        )
    return " ".join(sentences)


def _sure(paths: Judged) -> str:
    wrong = 1 - paths.success
    if not wrong.any():
        return "Everything ended right."
    raw, calibrated = (
        percent(float(np.average(side.probabilities > _SURE, weights=wrong))) for side in paths.sides
    )
    return (
        f"{raw} of what ended wrong has a raw score above {percent(_SURE, 0)}, {calibrated} a calibrated "
        "probability above it."
    )


def _table(title: str, splits: Sequence[Split]) -> Table:
    columns = ("probability", *(f"{s.side.name}, {what}" for s in splits for what in ("right", "wrong")))
    cells = np.array([shares for s in splits for shares in (s.right, s.wrong)]).T
    rows = [
        (between((i / _BINS, (i + 1) / _BINS), 0), *(percent(cell) for cell in row))
        for i, row in enumerate(cells.tolist())
    ]
    return Table(f"{title}: share of all paths", columns, tuple(rows))


def _draw(figure: Figure, splits: Sequence[Split]) -> None:
    figure.set_layout_engine("constrained")
    panels = figure.subplots(2, 1, sharex=True, sharey=True)
    edges = np.linspace(0, 1, _BINS + 1)
    for axes, found in zip(panels, splits, strict=True):
        axes.stairs(found.right, edges, fill=True, color=_RIGHT.colour, alpha=0.35)
        axes.stairs(found.right, edges, color=_RIGHT.colour, linewidth=1.4)
        axes.stairs(found.wrong, edges, color=_WRONG.colour, linewidth=1.4, hatch="////", fill=False)
        axes.set_title(found.side.name)
        axes.set(xlim=(-0.02, 1.02), ylabel="share of paths")
        axes.grid(visible=False, axis="x")
        in_percent(axes)
    panels[-1].set_xlabel("probability")
    figure.legend(
        handles=[
            Patch(facecolor=_RIGHT.colour, edgecolor=_RIGHT.colour, alpha=0.5, label="ended right"),
            Patch(facecolor="none", edgecolor=_WRONG.colour, hatch="////", label="ended wrong"),
        ],
        loc="outside upper left",
        ncols=2,
    )
