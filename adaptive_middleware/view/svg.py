"""Small pictures as SVG, drawn from numbers alone; colours come from the style sheet."""

from __future__ import annotations

from collections.abc import Sequence

from adaptive_middleware.view.figures import Bin

_WIDTH, _HEIGHT, _FOOT = 480, 160, 22


def bars(counts: Sequence[tuple[int, int]], label: str) -> str:
    """Bars with their numbers below and their counts above; `label` is read out."""
    top = max((count for _, count in counts), default=1)
    slot = _WIDTH / max(len(counts), 1)
    parts = []
    for at, (name, count) in enumerate(counts):
        height = (_HEIGHT - 2 * _FOOT) * count / top
        x, y = at * slot, _HEIGHT - _FOOT - height
        parts.append(
            f'<rect class="bar" x="{x + slot * 0.1:.1f}" y="{y:.1f}" width="{slot * 0.8:.1f}" height="{height:.1f}"/>'
        )
        middle = x + slot / 2
        parts.append(f'<text x="{middle:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{name:d}</text>')
        parts.append(f'<text x="{middle:.1f}" y="{y - 4:.1f}" text-anchor="middle">{count:d}</text>')
    return _svg(_WIDTH, _HEIGHT, label, parts)


def reliability(bins: Sequence[Bin], label: str) -> str:
    """Share of right answers over given probability; on the line, both are the same. Larger dots have more calls."""
    side, most = 200, max((one.n for one in bins), default=1)
    parts = [f'<path class="line" d="M20 {side - 20}L{side - 20} 20"/>']
    for one in bins:
        x, y = 20 + one.p * (side - 40), side - 20 - one.right / one.n * (side - 40)
        parts.append(f'<circle class="bar" cx="{x:.1f}" cy="{y:.1f}" r="{3 + 5 * one.n / most:.1f}"/>')
    parts += [
        f'<text x="{side / 2:.0f}" y="{side - 4}" text-anchor="middle">probability given</text>',
        *(
            f'<text x="{x}" y="{side - 4}" text-anchor="middle">{name}</text>'
            for x, name in ((20, "0"), (side - 20, "1"))
        ),
        f'<text x="12" y="{side / 2:.0f}" text-anchor="middle" transform="rotate(-90 12 {side / 2:.0f})">right</text>',
    ]
    return _svg(side, side, label, parts)


def belief(bins: Sequence[float], label: str) -> str:
    """The masses of a belief over [0, 1], as a row of bars."""
    top, width = max(bins, default=0.0) or 1.0, 6
    parts = [
        f'<rect class="bar" x="{at * width}" y="{30 - 30 * mass / top:.1f}" width="{width - 1}" height="{30 * mass / top:.1f}"/>'
        for at, mass in enumerate(bins)
    ]
    return _svg(len(bins) * width, 30, label, parts)


def score(value: float) -> str:
    """A score in [0, 1] as a short bar; its number stands beside it."""
    inside = max(0.0, min(1.0, value))
    return (
        f'<svg class="score" viewBox="0 0 60 8" aria-hidden="true"><rect class="rail" width="60" height="8"/>'
        f'<rect class="bar" width="{60 * inside:.1f}" height="8"/></svg>'
    )


def _svg(width: int, height: int, label: str, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
