"""The part of the page about calibration: given probabilities beside what came of them, and whether that drifts."""

from __future__ import annotations

from collections.abc import Iterator

from adaptive_middleware.view.drift import LEAST, Window, windows
from adaptive_middleware.view.figures import JUDGED, Figures
from adaptive_middleware.view.html import number, table
from adaptive_middleware.view.over_time import drifting, short
from adaptive_middleware.view.svg import reliability


def calibration(seen: Figures) -> Iterator[str]:
    """The section as markup."""
    judged = len(seen.judged)
    if not judged:
        yield f"<p>Nothing is known of right and wrong of the latest {JUDGED:,d} calls: <code>adaptive-middleware feedback</code> tells it.</p>"
        return
    yield f"<p>{judged:,d} calls with a probability are known to be right or wrong, among the latest {JUDGED:,d}.</p>"
    picture = reliability(seen.bins, "share of right answers by probability")
    yield f'<div class="pair"><figure class="square">{picture}<figcaption>On the line, both agree. Larger dots have more calls.</figcaption></figure>'
    found = windows(seen.judged)
    if not found or seen.drift is None:
        yield f"<p>Drift is shown from {2 * LEAST} judged calls on.</p></div>"
        return
    yield from _drift(found)
    older, newer = seen.drift
    yield (
        f"<p>Probability minus share of right answers: {older:+.3f} in the older half, {newer:+.3f} in the newer one. "
        "<code>adaptive-middleware audit</code> tests whether that is chance.</p>"
    )
    yield from _numbers(found)


def _drift(found: list[Window]) -> Iterator[str]:
    off = sum(one.off for one in found)
    legend = (
        '<span class="key square"></span> mean probability given <span class="key dot"></span> share of right answers, '
        "with its 95 % interval; n judged calls each."
    )
    yield f"<figure>{drifting(found, 'mean probability and share of right answers over time')}<figcaption>{legend}"
    yield f" The probability lies outside of the interval in {off} of {len(found)} windows.</figcaption></figure></div>"


def _numbers(found: list[Window]) -> Iterator[str]:
    rows = (
        (
            short(one.since),
            short(one.until),
            f"{one.n:d}",
            number(one.p),
            number(one.right / one.n),
            f"{one.low:.3f} to {one.high:.3f}{', off' if one.off else ''}",
        )
        for one in found
    )
    heads = "from, UTC", "to", "n", "mean p", "right", "95 % interval"
    yield f'<details id="drift-numbers"><summary>The numbers</summary>{table("Drift of calibration", heads, rows)}</details>'
