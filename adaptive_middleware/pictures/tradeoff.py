"""Accuracy against cost: fixed N as curves with their bands, every other policy as a point with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from types import MappingProxyType

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from adaptive_middleware.pictures.leaderboard import Entry, axis_of
from adaptive_middleware.pictures.picture import Picture, Table, between, number, percent, shortened
from adaptive_middleware.pictures.style import Mark, in_percent, legend_line, mark, whiskers

_AXES: Mapping[str, str] = MappingProxyType(
    {"generated_tokens": "generated tokens per problem", "samples": "samples per problem"}
)
_COLUMNS = (
    "policy",
    "accuracy",
    "95 % interval",
    "share at equal accuracy",
    "samples",
    "generated tokens",
    "prompt tokens",
    "PRM tokens",
)
_HALF, _LONGEST = 22, 48
_BANDS = 3
_WIDE = 6.0
"""Costs that spread over more than this ratio are drawn on a logarithmic axis."""


def tradeoff(own: Sequence[Entry], name: str, title: str) -> Picture:
    """The picture of one recording's rows."""
    axis = axis_of(own)
    drawn = [
        entry
        for entry in own
        if not isnan(entry.cost(axis)) and (entry.fixed is not None or not entry.baseline)
    ]
    looks = marks(drawn)
    columns = _legend_columns(looks)
    return Picture(
        name,
        title,
        finding(own, axis),
        Table(f"{title}: means per problem", _COLUMNS, tuple(_cells(entry) for entry in own)),
        (4.6, 3.8 + 0.22 * -(-len(looks) // columns)),
        lambda figure: _draw(figure, drawn, axis, looks),
    )


def marks(own: Sequence[Entry]) -> dict[str, Mark]:
    """Series -> its mark: one for each selection of fixed N, then one for each family of policies."""
    names = [series(entry) for entry in own if entry.fixed] + [
        series(entry) for entry in own if not entry.fixed
    ]
    return {name: mark(place) for place, name in enumerate(dict.fromkeys(names))}


def series(entry: Entry) -> str:
    """What a row is drawn as: the curve of its selection, or the points of its family."""
    if entry.fixed is None:
        return entry.family
    return f"fixed N, {entry.fixed.select}" if entry.fixed.select else "fixed N"


def finding(own: Sequence[Entry], axis: str) -> str:
    """What the picture shows, in words."""
    what = "samples" if axis == "samples" else "generated tokens"
    parts = []
    fixed = [entry for entry in own if entry.fixed]
    if fixed:
        parts.append(f"Best fixed N: {_said(max(fixed, key=lambda e: e.accuracy), axis, what)}.")
    rules = [entry for entry in own if entry.rule]
    if rules:
        parts.append(f"Most accurate rule: {_said(max(rules, key=lambda e: e.accuracy), axis, what)}.")
    bounds = [entry for entry in own if entry.oracle]
    if bounds:
        parts.append(
            f"Bound with perfect knowledge: {_said(max(bounds, key=lambda e: e.accuracy), axis, what)}."
        )
    return " ".join(parts)


def _said(entry: Entry, axis: str, what: str) -> str:
    return f"{entry.policy}, {percent(entry.accuracy)} ({between(entry.accuracy_ci95)}) with {number(entry.cost(axis))} {what}"


def _cells(entry: Entry) -> tuple[str, ...]:
    costs = (entry.samples, entry.generated_tokens, entry.prompt_tokens, entry.prm_tokens)
    return (
        entry.policy,
        percent(entry.accuracy),
        between(entry.accuracy_ci95),
        percent(entry.share, 0),
        *(number(cost) for cost in costs),
    )


def _draw(figure: Figure, own: Sequence[Entry], axis: str, looks: Mapping[str, Mark]) -> None:
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    curves = _by_series([entry for entry in own if entry.fixed])
    shaded = _shaded(curves)
    for name, members in curves.items():
        _curve(axes, members, axis, looks[name], band=name in shaded)
    for name, members in _by_series([entry for entry in own if not entry.fixed]).items():
        _points(axes, members, axis, looks[name])
    axes.set(xlabel=_AXES[axis], ylabel="accuracy")
    in_percent(axes, "y")
    _scale(axes, [entry.cost(axis) for entry in own])
    figure.legend(handles=_samples(own, looks), loc="outside lower left", ncols=_legend_columns(looks))


def _by_series(own: Sequence[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in own:
        found.setdefault(series(entry), []).append(entry)
    return found


def _shaded(curves: Mapping[str, Sequence[Entry]]) -> frozenset[str]:
    """The curves that show their bands: all, or of many only the first and the one that gets highest."""
    if len(curves) <= _BANDS:
        return frozenset(curves)
    highest = max(curves, key=lambda name: max(entry.accuracy for entry in curves[name]))
    return frozenset({next(iter(curves)), highest})


def _samples(own: Sequence[Entry], looks: Mapping[str, Mark]) -> list[Line2D]:
    fixed = {series(entry) for entry in own if entry.fixed}
    return [legend_line(look, shortened(name, _LONGEST), line=name in fixed) for name, look in looks.items()]


def _legend_columns(looks: Mapping[str, Mark]) -> int:
    return 2 if all(len(name) <= _HALF for name in looks) else 1


def _scale(axes: Axes, costs: Sequence[float]) -> None:
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    if not costs or min(costs) <= 0 or max(costs) < _WIDE * min(costs):
        return
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _curve(axes: Axes, own: Sequence[Entry], axis: str, look: Mark, *, band: bool) -> None:
    ordered = sorted(own, key=lambda entry: entry.cost(axis))
    x, y = [entry.cost(axis) for entry in ordered], [entry.accuracy for entry in ordered]
    low, high = zip(*(entry.accuracy_ci95 for entry in ordered), strict=True)
    if band:
        axes.fill_between(x, low, high, color=look.colour, alpha=0.13, linewidth=0)
    axes.plot(x, y, look.dashes, color=look.colour, linewidth=1.6)
    axes.plot(x, y, look.marker, color=look.colour, markerfacecolor=look.face, markersize=4)


def _points(axes: Axes, own: Sequence[Entry], axis: str, look: Mark) -> None:
    x = [entry.cost(axis) for entry in own]
    whiskers(axes, x, [entry.accuracy for entry in own], [entry.accuracy_ci95 for entry in own], look)
