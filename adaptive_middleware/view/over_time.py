"""Pictures over time: calls and the degraded ones among them, and drift of calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptive_middleware.trace.explain import moment
from adaptive_middleware.view.drift import Window
from adaptive_middleware.view.figures import Line
from adaptive_middleware.view.svg import FOOT, HEIGHT, WIDTH, svg

SLOTS = 24
_LEFT, _TOP, _TALL = 24, 8, 170


@dataclass(frozen=True, slots=True)
class Slot:
    """Calls of one stretch of time that begins at `since`, and how many of them were degraded."""

    since: float
    calls: int
    degraded: int


def slots(lines: Sequence[Line]) -> list[Slot]:
    """The time that calls (at least one, the newest first) span, in equal stretches."""
    first, last = min(line.at for line in lines), max(line.at for line in lines)
    each = max((last - first) / SLOTS, 1e-6)
    counts = [[0, 0] for _ in range(SLOTS)]
    for line in lines:
        slot = counts[min(int((line.at - first) / each), SLOTS - 1)]
        slot[0] += 1
        slot[1] += line.degraded > 0
    return [Slot(first + at * each, *count) for at, count in enumerate(counts)]


def calls_over_time(found: Sequence[Slot], label: str) -> str:
    """A bar for each slot, its degraded part at the foot of it."""
    top, wide, tall = max(slot.calls for slot in found), WIDTH / len(found), HEIGHT - FOOT - _TOP
    parts = []
    for at, slot in enumerate(found):
        for kind, count in (("soft", slot.calls), ("warn", slot.degraded)):
            high = tall * count / top
            parts.append(
                f'<rect class="{kind}" x="{at * wide + 1:.1f}" y="{HEIGHT - FOOT - high:.1f}" width="{wide - 2:.1f}" height="{high:.1f}">'
                f"<title>from {short(slot.since)}: {slot.calls:,d} calls, {slot.degraded:,d} degraded</title></rect>"
            )
    parts.append(f'<path class="rule" d="M0 {HEIGHT - FOOT}H{WIDTH}"/>')
    parts += _ends(found[0].since, found[-1].since, 0, HEIGHT)
    return svg(WIDTH, HEIGHT, label, parts)


def drifting(found: Sequence[Window], label: str) -> str:
    """For each window the share of right answers with its interval, over it the mean probability as a line of squares."""
    wide = (WIDTH - _LEFT) / len(found)
    parts = [_grid(value) for value in (0.0, 0.5, 1.0)]
    middles = [_LEFT + (at + 0.5) * wide for at in range(len(found))]
    for x, one in zip(middles, found, strict=True):
        told = f"{short(one.since)} to {short(one.until)}: p {one.p:.3f}, right {one.right} of {one.n}"
        parts.append(
            f'<g><title>{told}</title><path class="reach" d="M{x:.1f} {_y(one.low):.1f}V{_y(one.high):.1f}"/>'
            f'<circle class="dot" cx="{x:.1f}" cy="{_y(one.right / one.n):.1f}" r="4"/></g>'
        )
        parts.append(f'<text x="{x:.1f}" y="{_TALL - FOOT - 5}" text-anchor="middle">{one.n:d}</text>')
    path = "L".join(f"{x:.1f} {_y(one.p):.1f}" for x, one in zip(middles, found, strict=True))
    parts.append(f'<path class="given" d="M{path}"/>')
    parts += [
        f'<rect class="square{" off" if one.off else ""}" x="{x - 3:.1f}" y="{_y(one.p) - 3:.1f}" width="6" height="6"/>'
        for x, one in zip(middles, found, strict=True)
    ]
    parts.append(f'<text x="0" y="{_TALL - FOOT - 5}">n</text>')
    parts += _ends(found[0].since, found[-1].until, _LEFT, _TALL)
    return svg(WIDTH, _TALL, label, parts)


def short(at: float) -> str:
    """A moment to the minute, in UTC.

    >>> short(0.0)
    '1970-01-01 00:00'
    """
    return moment(at)[:16].replace("T", " ")


def _y(value: float) -> float:
    low, high = _TALL - 2 * FOOT - 4, _TOP
    return low - value * (low - high)


def _grid(value: float) -> str:
    return f'<path class="rule" d="M{_LEFT} {_y(value):.1f}H{WIDTH}"/><text x="0" y="{_y(value) + 4:.1f}">{value:g}</text>'


def _ends(first: float, last: float, left: int, tall: int) -> list[str]:
    return [
        f'<text x="{left}" y="{tall - 5}">{short(first)}</text>',
        f'<text x="{WIDTH}" y="{tall - 5}" text-anchor="end">{short(last)}</text>',
    ]
