"""The page of all calls: what was spent, what is reserved, how the services fare, and the latest calls."""

from __future__ import annotations

from collections.abc import Iterator

from adaptive_middleware.trace.explain import moment
from adaptive_middleware.trace.reading import SHORT, Search
from adaptive_middleware.view.amounts import dollars
from adaptive_middleware.view.asked import form, said
from adaptive_middleware.view.calibration_section import calibration
from adaptive_middleware.view.figures import LATEST, LISTED, Figures, Line
from adaptive_middleware.view.health_section import health
from adaptive_middleware.view.html import call_link, facts, number, page, section, table, text
from adaptive_middleware.view.spend import Spend
from adaptive_middleware.view.spend_section import spending
from adaptive_middleware.view.svg import bars

_HEADS = (
    "call",
    "time, UTC",
    "policy",
    "model",
    "samples",
    "p",
    "lower",
    "tokens",
    "seconds",
    "degraded",
    "right",
)
_NAVIGATION = (
    '<nav aria-label="On this page"><a href="#budgets">Budgets</a> <a href="#health">Health</a> <a href="#samples">Samples</a> '
    '<a href="#calibration">Calibration</a> <a href="#calls">Latest calls</a></nav>'
)
_RIGHT = {None: "-", 0: "wrong", 1: "right"}


def overview(seen: Figures, name: str, now: Spend) -> str:
    """The page of all calls of the store `name`, and of the budgets as they stand now."""
    return page("Calls", _overview(seen, name, now))


def _overview(seen: Figures, name: str, now: Spend) -> Iterator[str]:
    yield f'<header><h1>Calls</h1><p>{text(name)} <span id="live" role="status"></span></p></header><main class="all">'
    yield _NAVIGATION
    yield form(seen)
    yield section("summary", "In short", _summary(seen))
    yield section("budgets", "Budgets", spending(now, seen.recent))
    yield section("health", "Health", health(seen))
    yield section("samples", "Samples of a call", _samples(seen))
    yield section("calibration", "Calibration", calibration(seen))
    yield section("calls", "Latest calls", _calls(seen))
    yield "</main>"


def _summary(seen: Figures) -> Iterator[str]:
    wanted = said(seen.search)
    if wanted:
        more = f", at least {LATEST:,d}" if len(seen.lines) == LATEST else f": {len(seen.lines):,d}"
        yield f"<p>Calls with {wanted}{more}. Budgets, today, breaker and causes are of all calls.</p>"
    if seen.search.text is not None:
        yield f'<p class="faint">Texts are searched in the latest {LATEST:,d} calls that the other filters let through; <code>adaptive-middleware logs -q</code> searches all.</p>'
    yield facts(_facts(seen))


def _facts(seen: Figures) -> list[tuple[str, object]]:
    today, usd = seen.today, seen.today.usd
    whole = len(seen.lines) == seen.total
    latest = "of all" if whole else f"of these {len(seen.lines):,d}"
    saved = None if seen.saved is None else f"{seen.saved:.0%} against the most samples, {latest}"
    return [
        (
            "calls kept",
            f"{seen.total:,d}" if whole else f"{seen.total:,d}, {len(seen.lines):,d} of them shown here",
        ),
        ("today, UTC", f"{today.calls:,d} calls, {today.tokens:,d} completion tokens"),
        ("spent today", None if usd is None else f"{dollars(usd)}, where a price is known"),
        ("tokens saved", saved),
        ("degraded", f"{seen.degraded:,d} calls {latest}"),
    ]


def _samples(seen: Figures) -> Iterator[str]:
    if not seen.lines:
        yield "<p>There is no call to count.</p>"
        return
    yield f"<figure>{bars(seen.samples, 'calls by number of samples')}"
    yield f"<figcaption>How many of {len(seen.lines):,d} calls got how many samples.</figcaption></figure>"


def _calls(seen: Figures) -> Iterator[str]:
    if not seen.lines:
        empty = "No call is kept yet. They appear here as they end."
        yield f"<p>{empty if seen.search == Search() else 'No call that the filters let through.'}</p>"
        return
    rows = (_row(line) for line in seen.lines[:LISTED])
    listed, whole = (
        min(len(seen.lines), LISTED),
        "" if seen.search == Search() else " that the filters let through",
    )
    yield table(f"The latest {listed} of {seen.total:,d} calls{whole}", _HEADS, rows)


def _row(line: Line) -> tuple[str, ...]:
    return (
        call_link(line.id, line.id[-SHORT:]),
        text(moment(line.at)[5:19].replace("T", " ")),
        text(line.rule),
        "-" if line.model is None else text(line.model),
        f"{line.samples} of {line.max_samples}",
        number(line.p),
        number(line.lower),
        f"{line.tokens:,d}",
        number(line.seconds, ".2f"),
        str(line.degraded) if line.degraded else "-",
        _RIGHT[line.correct] if line.unanswered is None else text(line.unanswered.removeprefix("failed: ")),
    )
