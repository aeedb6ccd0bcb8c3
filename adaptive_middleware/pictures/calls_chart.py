"""How many samples calls got: a bar for each number of samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from adaptive_middleware.pictures.picture import NONE, Picture, Table, percent
from adaptive_middleware.pictures.style import mark
from adaptive_middleware.trace.reading import Kept


def samples_chart(calls: Sequence[Kept], name: str, title: str) -> Picture:
    """Calls by how many samples they drew, failed and unfinished ones counted."""
    counts = Counter(call.samples for call in calls)
    return Picture(
        name,
        title,
        finding(calls, counts),
        Table(
            f"{title}: calls by samples",
            ("samples", "calls", "share", "right of known"),
            _rows(calls, counts),
        ),
        (4.6, 2.8),
        lambda figure: _draw(figure, counts),
    )


def finding(calls: Sequence[Kept], counts: Counter[int]) -> str:
    """What the chart shows, in words."""
    mean = sum(call.samples for call in calls) / len(calls)
    most = sum(call.samples >= call.max_samples > 1 for call in calls)
    return (
        f"{percent(counts[1] / len(calls))} of {len(calls):,} calls were answered with one sample, "
        f"{percent(most / len(calls))} drew all they might. The mean is {mean:.2f}."
    )


def right_of_known(calls: Sequence[Kept]) -> str:
    """The share of right answers among those of which it is known, with their number."""
    known = [call.correct for call in calls if call.correct is not None]
    return f"{percent(sum(known) / len(known))} of {len(known):,}" if known else NONE


def _rows(calls: Sequence[Kept], counts: Counter[int]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            f"{n:,}",
            f"{count:,}",
            percent(count / len(calls)),
            right_of_known([c for c in calls if c.samples == n]),
        )
        for n, count in sorted(counts.items())
    )


def _draw(figure: Figure, counts: Counter[int]) -> None:
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    look = mark(0)
    axes.bar(list(counts), list(counts.values()), width=0.8, color=look.colour)
    axes.set(xlabel="samples", ylabel="calls", xlim=(0.4, max(counts) + 0.6))
    axes.grid(visible=False, axis="x")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, nbins=8))
