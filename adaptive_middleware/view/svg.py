"""Small pictures as SVG, drawn from numbers alone; colours come from the style sheet, and the numbers of each mark are its title."""

from __future__ import annotations

from collections.abc import Sequence

from adaptive_middleware.view.figures import Bin

WIDTH, HEIGHT, FOOT = 360, 130, 20
_LABELS, _WIDEST = 16, 72


def bars(counts: Sequence[tuple[int, int]], label: str) -> str:
    """Bars with their numbers below and, where there is room, their counts above; `label` is read out."""
    top = max((count for _, count in counts), default=1)
    slot, every = min(WIDTH / max(len(counts), 1), _WIDEST), -(-len(counts) // _LABELS)
    parts = []
    for at, (name, count) in enumerate(counts):
        height = (HEIGHT - 2 * FOOT) * count / top
        x, y = at * slot, HEIGHT - FOOT - height
        parts.append(
            f'<rect class="bar" x="{x + slot * 0.1:.1f}" y="{y:.1f}" width="{slot * 0.8:.1f}" height="{height:.1f}">'
            f"<title>{name:d} samples: {count:,d} calls</title></rect>"
        )
        middle = x + slot / 2
        if at % every == 0:
            parts.append(f'<text x="{middle:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{name:d}</text>')
        if every == 1:
            parts.append(f'<text x="{middle:.1f}" y="{y - 4:.1f}" text-anchor="middle">{count:d}</text>')
    return svg(WIDTH, HEIGHT, label, parts)


def reliability(bins: Sequence[Bin], label: str) -> str:
    """Share of right answers over given probability; on the line, both are the same. Larger dots have more calls."""
    side, most = 220, max((one.n for one in bins), default=1)
    low, high = 24, side - 24
    parts = [
        f'<path class="rule" d="M{low} {low}V{high}H{high}"/>',
        f'<path class="line" d="M{low} {high}L{high} {low}"/>',
    ]
    for one in bins:
        x, y = low + one.p * (high - low), high - one.right / one.n * (high - low)
        parts.append(
            f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{3 + 5 * one.n / most:.1f}">'
            f"<title>mean probability {one.p:.2f}: {one.right} of {one.n} right</title></circle>"
        )
    parts += [
        f'<text x="{side / 2:.0f}" y="{side - 8}" text-anchor="middle">probability given</text>',
        *(
            f'<text x="{x}" y="{side - 8}" text-anchor="middle">{name}</text>'
            for x, name in ((low, "0"), (high, "1"))
        ),
        f'<text x="14" y="{side / 2:.0f}" text-anchor="middle" transform="rotate(-90 14 {side / 2:.0f})">share right</text>',
    ]
    return svg(side, side, label, parts)


def belief(bins: Sequence[float], label: str) -> str:
    """The masses of a belief over [0, 1], as a row of bars."""
    top, width = max(bins, default=0.0) or 1.0, 6
    parts = [
        f'<rect class="bar" x="{at * width}" y="{30 - 30 * mass / top:.1f}" width="{width - 1}" height="{30 * mass / top:.1f}"/>'
        for at, mass in enumerate(bins)
    ]
    return svg(len(bins) * width, 30, label, parts)


def score(value: float) -> str:
    """A score in [0, 1] as a short bar; its number stands beside it."""
    inside = max(0.0, min(1.0, value))
    return (
        f'<svg class="score" viewBox="0 0 60 8" aria-hidden="true"><rect class="rail" width="60" height="8"/>'
        f'<rect class="bar" width="{60 * inside:.1f}" height="8"/></svg>'
    )


def meter(settled: int, held: int, limit: int) -> str:
    """What of a limit is settled, and behind it what is held; the numbers stand beside it."""
    one = min(max(settled, 0) / limit, 1.0) * 200
    two = min(max(held, 0) / limit * 200, 200 - one)
    over = " over" if settled + held > limit else ""
    return (
        f'<svg class="meter{over}" viewBox="0 0 200 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="rail" width="200" height="8"/><rect class="bar" width="{one:.1f}" height="8"/>'
        f'<rect class="soft" x="{one:.1f}" width="{two:.1f}" height="8"/></svg>'
    )


def svg(width: int, height: int, label: str, parts: Sequence[str]) -> str:
    """A picture of that size whose `label` is read out."""
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
