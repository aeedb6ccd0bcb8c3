"""The coverage curve: how often success lies below each predicted quantile, against how often it should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_middleware.calibration.coverage import shares_below, transforms, units
from adaptive_middleware.calibration.examples import Example
from adaptive_middleware.calibration.features import KINDS
from adaptive_middleware.calibration.posthoc import LOWER, Calibration
from adaptive_middleware.pictures.picture import Interval, Picture, Table, between, percent, points
from adaptive_middleware.pictures.resamples import Floats, Resamples, resampled
from adaptive_middleware.pictures.style import FAINT, ideal_line, in_percent, legend_line, mark, whiskers

_TENTHS = 10
_LOOK = mark(0)
_CURVE = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True)
class Transformed:
    """Units (`coverage.Units`) with their probability integral transforms, spread from `below` to `upto`.

    `sizes` are the paths of each unit, as weights.
    """

    below: Floats
    upto: Floats
    sizes: Floats
    resamples: Resamples

    def share(self, level: float) -> float:
        """Share of paths whose success lies below the `level` quantile: `level`, if the quantiles hold."""
        return float(np.average(shares_below(level, self.below, self.upto), weights=self.sizes))

    def interval(self, level: float) -> Interval:
        """The 95 % interval of `share`, from resampling problems."""
        return self.resamples.interval(shares_below(level, self.below, self.upto), self.sizes)


def transformed(calibration: Calibration, examples: Sequence[Example]) -> Transformed:
    """Where each unit's measured successes fall in the distribution that was predicted for it."""
    estimates = [calibration.estimate(e.scores, e.steps, e.done, e.logprobs, e.tokens) for e in examples]
    found = units(examples, [min(int(e.mean * _TENTHS), _TENTHS - 1) for e in estimates])
    quantiles = found.mean(np.array([[value for _, value in e.quantiles] for e in estimates]))
    below, upto = transforms(quantiles, calibration.levels, found.right, found.trials)
    return Transformed(below, upto, found.sizes.astype(np.float64), resampled(found.groups))


def coverage_curve(calibration: Calibration, examples: Sequence[Example], name: str, title: str) -> Picture:
    """Share of paths below each quantile against its level, and the difference of the two."""
    found, levels = transformed(calibration, examples), calibration.levels
    shares = [found.share(level) for level in levels]
    intervals = [found.interval(level) for level in levels]
    return Picture(
        name,
        title,
        finding(levels, shares, intervals),
        _table(title, found, calibration, examples),
        (4.6, 5.3),
        lambda figure: _draw(figure, found, levels),
    )


def finding(levels: Sequence[float], shares: Sequence[float], intervals: Sequence[Interval]) -> str:
    """What the curve shows, in words."""
    lowest = levels.index(LOWER)
    gap, worst = max(
        (abs(share - level), i) for i, (level, share) in enumerate(zip(levels, shares, strict=True))
    )
    low, high = intervals[lowest]
    return (
        f"The {percent(LOWER, 0)} lower bound is kept by {percent(1 - shares[lowest])} of the paths "
        f"(95 % interval: {between((1 - high, 1 - low))}), where {percent(1 - LOWER, 0)} are promised. "
        f"{_inside(levels, intervals)} The largest difference is {100 * gap:.1f} points, at the "
        f"{_level(levels[worst])} quantile."
    )


def _level(level: float) -> str:
    """A quantile's level, with a decimal only where it has one."""
    return percent(level, 0 if round(100 * level, 6).is_integer() else 1)


def _inside(levels: Sequence[float], intervals: Sequence[Interval]) -> str:
    if isnan(intervals[0][0]):
        return "There are too few problems for intervals."
    inside = sum(low <= level <= high for level, (low, high) in zip(levels, intervals, strict=True))
    return (
        f"For {inside} of {len(levels)} quantiles the interval of the observed share holds the promised one."
    )


def _table(title: str, found: Transformed, calibration: Calibration, examples: Sequence[Example]) -> Table:
    own = {kind: [e for e in examples if e.kind == kind] for kind in KINDS}
    kinds = {kind: transformed(calibration, rows) for kind, rows in own.items() if rows}
    columns = ("quantile", "observed below", "95 % interval", "difference", *kinds)
    rows = [
        (
            _level(level),
            percent(found.share(level)),
            between(found.interval(level)),
            points(found.share(level) - level),
            *(percent(one.share(level)) for one in kinds.values()),
        )
        for level in calibration.levels
    ]
    return Table(
        f"{title}: share of paths below each quantile, of all and by kind of path", columns, tuple(rows)
    )


def _draw(figure: Figure, found: Transformed, levels: Sequence[float]) -> None:
    figure.set_layout_engine("constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=[2.6, 1.8])
    upper, lower = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    _panel(upper, found, levels, np.zeros_like(_CURVE))
    upper.plot([0, 1], [0, 1], color=FAINT, linestyle=":", linewidth=1.4)
    _panel(lower, found, levels, _CURVE)
    lower.axhline(0, color=FAINT, linestyle=":", linewidth=1.4)
    upper.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="observed below it")
    lower.set(xlim=(-0.02, 1.02), xlabel="level of the quantile", ylabel="observed − level")
    in_percent(upper)
    in_percent(lower)
    samples = [legend_line(_LOOK, "observed"), ideal_line("as promised")]
    figure.legend(handles=samples, loc="outside upper left", ncols=2)


def _panel(axes: Axes, found: Transformed, levels: Sequence[float], minus: Floats) -> None:
    """One panel; from every share `minus`, given along `_CURVE`, is taken away."""
    taken = np.interp(levels, _CURVE, minus).tolist()
    curve = np.array([found.share(level) for level in _CURVE.tolist()]) - minus
    axes.plot(_CURVE, curve, color=_LOOK.colour, linewidth=1.4)
    shares = [found.share(level) - base for level, base in zip(levels, taken, strict=True)]
    ends = [
        (low - base, high - base)
        for (low, high), base in zip(map(found.interval, levels), taken, strict=True)
    ]
    whiskers(axes, levels, shares, ends, _LOOK)
