"""The reliability diagram: what was predicted against what came true, raw and calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_middleware.calibration import metrics
from adaptive_middleware.pictures.judged import Judged, Side
from adaptive_middleware.pictures.picture import Interval, Picture, Table, between, percent
from adaptive_middleware.pictures.style import FAINT, ideal_line, in_percent, legend_line, whiskers

_BINS = 10


@dataclass(frozen=True, slots=True)
class Reading:
    """The bins of one side, each with the interval of what was observed in it, and the error over all."""

    side: Side
    bins: tuple[metrics.Bin, ...]
    intervals: tuple[Interval, ...]
    ece: float


def reading(paths: Judged, side: Side) -> Reading:
    """Ten equally wide bins of one side; intervals are bootstrapped over problems."""
    predicted, success = side.probabilities.tolist(), paths.success.tolist()
    bins = tuple(metrics.reliability(predicted, success, _BINS))
    intervals = []
    for found in bins:
        inside = np.zeros(len(predicted))
        inside[list(found.members)] = 1
        intervals.append(paths.resamples.interval(paths.success, inside))
    return Reading(side, bins, tuple(intervals), metrics.ece_equal_width(predicted, success, _BINS))


def reliability(paths: Judged, name: str, title: str) -> Picture:
    """Observed success against predicted probability in ten bins, with how many paths fall into each."""
    readings = [reading(paths, side) for side in paths.sides]
    return Picture(
        name,
        title,
        finding(*readings),
        _table(title, readings),
        (4.6, 5.0),
        lambda figure: _draw(figure, readings),
    )


def finding(raw: Reading, calibrated: Reading) -> str:
    """What the diagram shows, in words."""
    return (
        f"Expected calibration error: {percent(raw.ece)} raw, {percent(calibrated.ece)} calibrated. "
        f"{_direction(raw)} {_within(calibrated)}"
    )


def _direction(found: Reading) -> str:
    high = sum(b.predicted > b.observed for b in found.bins)
    return f"Raw scores promise too much in {high} of the {len(found.bins)} bins that hold any."


def _within(found: Reading) -> str:
    told = [
        low <= b.predicted <= high
        for b, (low, high) in zip(found.bins, found.intervals, strict=True)
        if low == low  # noqa: PLR0124 - NaN is unequal to itself
    ]
    if not told:
        return "There are too few problems for intervals."
    return (
        f"Calibrated, {sum(told)} of {len(told)} bins predict a rate inside the 95 % interval of what was "
        "observed."
    )


def _table(title: str, readings: Sequence[Reading]) -> Table:
    columns = ("prediction", "from", "paths", "predicted", "observed", "95 % interval")
    rows = [
        (
            between((b.low, b.high), 0),
            found.side.name,
            f"{len(b.members):,}",
            percent(b.predicted),
            percent(b.observed),
            between(interval),
        )
        for found in readings
        for b, interval in zip(found.bins, found.intervals, strict=True)
    ]
    return Table(f"{title}: bins, with intervals from resampling problems", columns, tuple(rows))


def _draw(figure: Figure, readings: Sequence[Reading]) -> None:
    figure.set_layout_engine("constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=[4, 1.2])
    upper, lower = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    upper.plot([0, 1], [0, 1], color=FAINT, linestyle=":", linewidth=1.4)
    for number, found in enumerate(readings):
        _curve(upper, found)
        _counts(lower, found, number)
    upper.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="ended right")
    lower.set(xlim=(-0.02, 1.02), xlabel="predicted probability", ylabel="paths")
    in_percent(upper)
    in_percent(lower, "x")
    lower.grid(visible=False, axis="x")
    samples = [legend_line(found.side.mark, found.side.name) for found in readings]
    figure.legend(handles=[*samples, ideal_line("ideal")], loc="outside upper left", ncols=3)


def _curve(axes: Axes, found: Reading) -> None:
    x, y = [b.predicted for b in found.bins], [b.observed for b in found.bins]
    look = found.side.mark
    axes.plot(x, y, look.dashes, color=look.colour, linewidth=1.6)
    whiskers(axes, x, y, found.intervals, look)


def _counts(axes: Axes, found: Reading, number: int) -> None:
    width = 0.4 / _BINS
    x = [b.low + (0.1 + 0.4 * number) / _BINS for b in found.bins]
    heights = [len(b.members) for b in found.bins]
    look = found.side.mark
    face = look.colour if number else "none"
    axes.bar(
        x, heights, width, align="edge", color=face, edgecolor=look.colour, hatch="" if number else "////"
    )
