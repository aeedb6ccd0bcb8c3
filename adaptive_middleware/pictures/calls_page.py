"""The report of kept calls: what they got, what that saved, whether p was what it said, and each of them in a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from adaptive_middleware.atomic import replace_file
from adaptive_middleware.errors import AdaptiveError
from adaptive_middleware.legible import line
from adaptive_middleware.pictures.calls_chart import right_of_known, samples_chart
from adaptive_middleware.pictures.judged import Judged, Side
from adaptive_middleware.pictures.page import Page, Section, html
from adaptive_middleware.pictures.picture import NONE, Picture, Table, percent, shortened
from adaptive_middleware.pictures.reliability import reliability
from adaptive_middleware.pictures.render import render
from adaptive_middleware.pictures.resamples import resampled
from adaptive_middleware.pictures.style import mark
from adaptive_middleware.trace.explain import moment
from adaptive_middleware.trace.reading import SHORT, Kept

FEWEST = 10
"""Calls with a verdict and a calibrated probability below which no reliability is drawn."""
_ROOM = 40
"""Characters of a question that a line shows."""
_BY_RULE = (
    "policy",
    "calls",
    "samples",
    "tokens",
    "always max_samples",
    "saved",
    "right of known",
    "degraded",
)
_EACH = ("call", "time (UTC)", "policy", "samples", "p", "tokens", "verdict", "question")


def calls_report(out: Path, *, title: str, calls: Sequence[Kept]) -> int:
    """Write the page of `calls` (the latest first) as one file, and return its size in bytes.

    Raises `AdaptiveError` without calls, or when `out` cannot be written.
    """
    if not calls:
        message = "no calls to report on; `adaptive-middleware logs` lists those that are kept"
        raise AdaptiveError(message)
    page = Page(title, _facts(calls), _sections(calls), _notes(calls))
    drawings = {one.name: render(one).inline for section in page.sections for one in section.pictures}
    content = html(page, drawings).encode()
    try:
        replace_file(out, content)
        out.chmod(0o600)
    except OSError as error:
        message = (
            f"{out}: the report cannot be written ({error}); choose a file in a folder that can be written to"
        )
        raise AdaptiveError(message) from error
    return len(content)


def _facts(calls: Sequence[Kept]) -> tuple[tuple[str, str], ...]:
    first, last = moment(calls[-1].at)[:16], moment(calls[0].at)[:16]
    usd = [call.usd for call in calls if call.usd is not None]
    facts = [
        ("Calls", f"{len(calls):,}, from {first} to {last} UTC"),
        ("Samples", f"{sum(call.samples for call in calls):,}"),
        (
            "Completion tokens",
            f"{sum(call.tokens for call in calls):,}; {_saved(calls)} less than always max_samples",
        ),
        ("Right of known", right_of_known(calls)),
        ("Without an answer", f"{sum(call.unanswered is not None for call in calls):,}"),
        ("Degraded", percent(sum(call.degraded > 0 for call in calls) / len(calls))),
    ]
    return (*facts, ("Cost", f"{sum(usd):,.4f} USD for {len(usd):,} calls")) if usd else tuple(facts)


def _saved(calls: Sequence[Kept]) -> str:
    fixed = sum(call.fixed_tokens for call in calls)
    return percent(1 - sum(call.tokens for call in calls) / fixed) if fixed else NONE


def _sections(calls: Sequence[Kept]) -> tuple[Section, ...]:
    honest = _reliability(calls)
    return (
        Section("By policy", table=_by_rule(calls)),
        Section(
            "How many samples calls got", pictures=(samples_chart(calls, "samples", "Samples per call"),)
        ),
        *([Section("Is p what it says?", pictures=(honest,))] if honest is not None else []),
        Section("Calls", (_HOW,), _each(calls)),
    )


_HOW = "The latest first. `adaptive-middleware explain` with what stands in the first column says why a call got what it got."


def _by_rule(calls: Sequence[Kept]) -> Table:
    own: dict[str, list[Kept]] = {}
    for call in calls:
        own.setdefault(call.rule, []).append(call)
    rows = [
        (
            line(rule),
            f"{len(found):,}",
            f"{sum(call.samples for call in found) / len(found):.2f}",
            f"{sum(call.tokens for call in found):,}",
            f"{sum(call.fixed_tokens for call in found):,}",
            _saved(found),
            right_of_known(found),
            f"{sum(call.degraded > 0 for call in found):,}",
        )
        for rule, found in own.items()
    ]
    return Table("Calls by policy; samples are means, tokens are completion tokens", _BY_RULE, tuple(rows))


def _each(calls: Sequence[Kept]) -> Table:
    rows = [
        (
            call.id[-SHORT:],
            moment(call.at)[5:16].replace("T", " "),
            shortened(line(call.rule), 16),
            f"{call.samples}/{call.max_samples}{'!' if call.degraded else ''}",
            NONE if call.p is None else f"{call.p:.2f}",
            f"{call.tokens:,}",
            shortened(line(call.came_of_it), 16),
            shortened(line(call.question or ""), _ROOM),
        )
        for call in calls
    ]
    return Table("Calls; ! marks those that got less than they asked for", _EACH, tuple(rows))


def _reliability(calls: Sequence[Kept]) -> Picture | None:
    """Reported probabilities against feedback, where there is enough of both."""
    known = [(call, raw) for call in calls if (raw := _judged(call)) is not None]
    if len(known) < FEWEST:
        return None
    raws, ps = np.array([raw for _, raw in known]), np.array([call.p for call, _ in known])
    right = np.array([1.0 if call.correct else 0.0 for call, _ in known])
    asked = resampled([call.question or call.id for call, _ in known])
    paths = Judged(Side("raw score", raws, mark(1)), Side("reported p", ps, mark(0)), right, asked)
    return reliability(paths, "reliability", "Reliability of the returned answers")


def _judged(call: Kept) -> float | None:
    """The raw score of the last step of a returned answer whose outcome and calibrated probability are known."""
    report = call.report
    if call.correct is None or call.p is None or call.verified is not None or report is None:
        return None
    if not report["calibrated"] or report["chosen"] is None or report["abstained"] is not None:
        return None
    scores: list[float] = report["candidates"][report["chosen"]]["step_scores"] or []
    return scores[-1] if scores else None


def _notes(calls: Sequence[Kept]) -> tuple[str, ...]:
    known = sum(_judged(call) is not None for call in calls)
    said = (
        "What always drawing max_samples would have cost is an estimate: that number of samples at the mean cost of the samples "
        "that were drawn."
    )
    if known >= FEWEST:
        return (said,)
    return (
        said,
        f"Whether p is what it says is not shown: the outcome of {known} scored calls is known, {FEWEST} are needed.",
    )
