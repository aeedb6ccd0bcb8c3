"""The report of a leaderboard: for each recording what every policy achieved, what it cost, and what it saved."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adaptive_middleware.pictures.leaderboard import Entry, axis_of, entries
from adaptive_middleware.pictures.page import Page, Section
from adaptive_middleware.pictures.picture import Picture
from adaptive_middleware.pictures.shares import compared, shares
from adaptive_middleware.pictures.tradeoff import tradeoff
from adaptive_middleware.pictures.written import write


def leaderboard_report(
    out: Path, *, title: str, rows: Sequence[Mapping[str, Any]], notes: Sequence[str] = ()
) -> Path:
    """Write `out/report.html`, `out/pictures/*.svg` and `*.png`; returns the path of the page.

    `rows` are those of `bench/leaderboard.json`: recording, policy, accuracy, accuracy_ci95 [low, high], samples,
    generated_tokens, prompt_tokens, prm_tokens, share_at_equal_accuracy; costs and share may be None. Rows named
    `fixed:n=8,select=argmax` form a curve with the other fixed rows of their selection. Costs are generated tokens, or samples where a
    recording knows no tokens.

    Raises `AdaptiveError` naming the row that cannot be drawn, or when `out` cannot be written to.
    """
    checked = entries(rows)
    own: dict[str, list[Entry]] = {}
    for entry in checked:
        own.setdefault(entry.recording, []).append(entry)
    sections = tuple(
        Section(name, pictures=_pictures(number, found))
        for number, (name, found) in enumerate(own.items(), 1)
    )
    return write(out, Page(title, (), sections, tuple(notes)))


def _pictures(number: int, own: Sequence[Entry]) -> tuple[Picture, ...]:
    slug = f"{number}-{_slug(own[0].recording)}"
    cost = "samples" if axis_of(own) == "samples" else "generated tokens"
    curve = tradeoff(own, f"accuracy-{slug}", f"Accuracy against {cost}")
    if not compared(own):
        return (curve,)
    return curve, shares(own, f"share-{slug}", f"Share of fixed N's {cost} at equal accuracy")


def _slug(name: str) -> str:
    """Letters, digits and hyphens: safe as a file name and as an id; ordinals keep slugs apart.

    >>> _slug("Pool: MATH-500 (8 x 3).jsonl.gz")
    'pool-math-500-8-x-3-jsonl-gz'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
